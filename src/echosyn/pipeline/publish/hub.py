"""The way to the Hugging Face hub: asked first, private unless said otherwise, taken up again after a dropped connection."""

import os
import time
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from echosyn.errors import ConfigError, DataError
from echosyn.hashing import PROVENANCE
from echosyn.pipeline.publish import checksums

ATTEMPTS = 5


def push(folder: Path, repo: str, *, public: bool = False, pause_s: float = 2.0) -> str:
    """Upload a sealed release as a dataset; what is already there is not sent again.

    The token is the one of ``hf auth login`` or ``HF_TOKEN``; ``HF_ENDPOINT`` names another hub.

    Args:
        folder: the release; the hub checks its card before anything is sent.
        repo: ``ORG/NAME``; made if it does not exist.
        public: let everybody see it.
        pause_s: wait before trying again, doubled each time.

    Returns:
        Its address.

    Raises:
        DataError: the hub refuses, cannot be reached, or has not got everything at the end.
    """
    check_name(repo)
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            return _try(api, folder, repo, public)
        except DataError:
            raise
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code < 500:
                raise DataError(
                    f"{repo}: the hub refuses ({_first_line(error)}); log in with `hf auth login`"
                ) from error
            reason = _first_line(error)
        except Exception as error:  # noqa: BLE001 (what breaks a connection depends on the hub library's version)
            reason = _first_line(error)
    raise DataError(f"{repo}: upload failed ({reason}) after {ATTEMPTS} tries; run the same command again to continue")


def check_name(repo: str) -> None:
    """Raise `ConfigError` unless it is ``ORG/NAME``."""
    try:
        validate_repo_id(repo)
    except ValueError as error:
        raise ConfigError(f"--push {repo}: {_first_line(error)}") from error
    if "/" not in repo:
        raise ConfigError(f"--push {repo}: expected ORG/NAME")


def _try(api: HfApi, folder: Path, repo: str, public: bool) -> str:
    _ask_validator(folder)
    address = str(api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True))
    if not public and api.dataset_info(repo).private is False:
        raise DataError(f"{repo}: exists and is public; say --public, or make it private on the hub first")
    api.upload_folder(
        repo_id=repo, repo_type="dataset", folder_path=folder, commit_message="Release by echosyn publish"
    )
    there = {file.rfilename for file in api.dataset_info(repo).siblings or []}
    if missing := sorted({*checksums.files(folder), checksums.SUMS, PROVENANCE} - there):
        raise ConnectionError(f"{len(missing)} file(s) did not arrive, first {missing[0]}")
    return address


def _ask_validator(folder: Path) -> None:
    """The hub's own check of the card."""
    try:
        DatasetCard.load(folder / "README.md").validate()
    except ValueError as error:
        raise DataError(f"{folder / 'README.md'}: the hub refuses it ({_first_line(error)})") from error


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
