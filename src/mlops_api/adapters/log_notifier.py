"""Notifier where nobody is set up to be told: the log is all there is."""

import logging

from mlops_api.adapters.notice_rules import check_notice, text_of
from mlops_api.ports import Notice, Receipt

_LOG = logging.getLogger(__name__)
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LogNotifier:
    """As ports.Notifier promises: a line in the log."""

    def send(self, notice: Notice) -> Receipt:
        check_notice(notice)
        fields = {"notice": notice.key, "kind": notice.kind, "path": notice.path}
        _LOG.log(_LEVELS[notice.severity], "%s", text_of(notice), extra={"fields": fields})
        return Receipt("log")
