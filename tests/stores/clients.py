"""Programs that put objects into a store and get them out again: boto3, s5cmd and rclone."""

import os
import subprocess
from pathlib import Path

from servers import REGION, Store, find


class Boto3:
    """The library of Amazon, in this process."""

    name = "boto3"

    def __init__(self, store: Store) -> None:
        self.client = store.client()

    def put(self, file: Path, bucket: str, key: str) -> None:
        self.client.upload_file(str(file), bucket, key)

    def get(self, bucket: str, key: str, file: Path) -> None:
        self.client.download_file(bucket, key, str(file))


class Program:
    """A program that copies between files and objects."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.path = find(name)
        self.environment = store.environment | {
            "S3_ENDPOINT_URL": store.endpoint,
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_STORE_TYPE": "s3",
            "RCLONE_CONFIG_STORE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
            "RCLONE_CONFIG_STORE_ENDPOINT": store.endpoint,
            "RCLONE_CONFIG_STORE_REGION": REGION,
        }

    def copy(self, source: Path | str, target: Path | str) -> list[str]:
        """The command for one file and one object, which is written `BUCKET/KEY`."""
        prefix, verb = ("store:", "copyto") if self.name == "rclone" else ("s3://", "cp")
        words = [it if isinstance(it, str) else str(it) for it in (source, target)]
        named = [word if isinstance(it, Path) else prefix + word for it, word in zip((source, target), words)]
        return [self.path, verb, *named]

    def run(self, command: list[str]) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {done.returncode}: {done.stderr}")

    def put(self, file: Path, bucket: str, key: str) -> None:
        self.run(self.copy(file, f"{bucket}/{key}"))

    def get(self, bucket: str, key: str, file: Path) -> None:
        self.run(self.copy(f"{bucket}/{key}", file))
