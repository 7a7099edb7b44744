"""The DynamoDB table, as data. The CloudFormation template defines the same one; a test compares them.

pk, sk              the record's key and kind: keys spread over partitions, kinds would be hot ones
revision, data      data is compact JSON in a string: numbers come back exactly as they were
expires_at          epoch seconds, time to live; DynamoDB deletes late, so reads filter too
write_id            who wrote this revision: tells a repeated request from another writer's
{index}_pk, _sk     for each index the record is in: its partition; sort, key and kind in one order
"""

from collections.abc import Mapping
from typing import Any, get_args

from mlops_api.adapters.aws.clients import Client
from mlops_api.ports import Index

INDEXES: tuple[Index, ...] = get_args(Index)
TIME_TO_LIVE = "expires_at"


def table_definition(name: str) -> Mapping[str, Any]:
    """What CreateTable takes. Indexes hold whole records, so that a page is one call."""
    keys = ["pk", "sk", *(f"{index}_{part}" for index in INDEXES for part in ("pk", "sk"))]
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
        "KeySchema": _key_schema("pk", "sk"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": _key_schema(f"{index}_pk", f"{index}_sk"),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in INDEXES
        ],
    }


def create_table(client: Client, name: str) -> None:
    """Make the table and wait until it can be used. For tests; on AWS the CloudFormation template makes it."""
    client.create_table(**table_definition(name))
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 25})
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TIME_TO_LIVE})


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
