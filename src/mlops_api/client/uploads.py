"""The file goes to the store part by part, by signed URLs; what has arrived is not sent again.

POST /datasets --> PUT part 1..n --> POST /datasets/{version}/complete
                      |    ^
         403: expired v    | parts that arrived carry their etag
         GET /datasets/{version}/upload
"""

from collections.abc import Callable

from mlops_api.client import calls
from mlops_api.client.effects import Flow, Reply, Request, Send, Work
from mlops_api.client.errors import AuthError, Conflict, MLOpsError, ServerError
from mlops_api.client.sources import Source
from mlops_api.domain.datasets import (
    CompletedPart,
    CompleteUpload,
    CreateDataset,
    CreatedDataset,
    DatasetSummary,
    DatasetVersion,
    Upload,
    UploadPart,
)

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""


def begin(source: Source, name: str) -> Flow[CreatedDataset]:
    sha256 = yield Work(source.sha256)
    fields = {"name": name, "filename": source.filename, "size_bytes": source.size, "sha256": sha256}
    created = yield from calls.write("POST", "/datasets", CreatedDataset, calls.checked(CreateDataset, fields))
    return created


def resume(source: Source, version: str) -> Flow[CreatedDataset]:
    """The upload begun earlier. Raises Conflict when it was begun with another file."""
    dataset = yield from calls.get(calls.path("datasets", version), DatasetVersion)
    sha256 = yield Work(source.sha256)
    if sha256 != dataset.sha256:
        raise Conflict(
            f"{version} was begun with another file than {source.filename}: {dataset.filename}, "
            f"{dataset.size_bytes} bytes."
        )
    upload = yield from _upload(version)
    return CreatedDataset(**dataset.model_dump(), upload=upload)


def finish(source: Source, created: CreatedDataset, progress: Progress | None) -> Flow[DatasetSummary]:
    """Send what has not arrived and complete. An error says how to go on from here."""
    try:
        if created.upload is None:
            raise Conflict(f"{created.version} is {created.status}: it has its file already.")
        parts = yield from _send_parts(source, created.version, created.upload, progress)
        url = calls.path("datasets", created.version, "complete")
        return (yield from calls.write("POST", url, DatasetSummary, CompleteUpload(parts=parts)))
    except MLOpsError as error:
        error.extra.setdefault("version", created.version)
        error.add_note(_resume_hint(created.version))
        raise
    except KeyboardInterrupt as stop:
        stop.add_note(_resume_hint(created.version))
        raise


def _resume_hint(version: str) -> str:
    return f"Parts that arrived are kept; go on with resume={version!r} (mlops data upload FILE --resume {version})."


def _send_parts(source: Source, version: str, upload: Upload, progress: Progress | None) -> Flow[list[CompletedPart]]:
    arrived: dict[int, str] = {}
    sent = 0
    for number in sorted(part.part_number for part in upload.parts):
        part = _numbered(upload, number)
        if part.etag is None:
            try:
                etag = yield from _send_part(source, upload, part)
            except AuthError:
                upload = yield from _upload(version)
                etag = yield from _send_part(source, upload, _numbered(upload, number))
        else:
            etag = part.etag
        arrived[number] = etag
        sent += part.size_bytes
        if progress is not None:
            progress(sent, source.size)
    return [CompletedPart(part_number=number, etag=etag) for number, etag in arrived.items()]


def _send_part(source: Source, upload: Upload, part: UploadPart) -> Flow[str]:
    offset = (part.part_number - 1) * upload.part_size
    content = yield Work(lambda: source.read(offset, part.size_bytes))
    request = Request(part.method, part.url, headers=part.headers, content=content, signed=True)
    reply: Reply = yield Send(request)
    etag = reply.headers.get("etag")
    if etag is None:
        raise ServerError(f"The store took part {part.part_number} but named no ETag for it.", status=reply.status)
    return etag


def _upload(version: str) -> Flow[Upload]:
    return (yield from calls.get(calls.path("datasets", version, "upload"), Upload))


def _numbered(upload: Upload, number: int) -> UploadPart:
    return next(part for part in upload.parts if part.part_number == number)
