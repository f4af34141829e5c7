"""An optional package that is missing names its cure."""

import json

import pytest

from echosyn.errors import EchosynError, MissingExtraError
from echosyn.extras import require


def test_what_is_there_is_imported():
    assert require("json", extra="web") is json


def test_what_is_missing_says_how_to_install_it():
    with pytest.raises(MissingExtraError, match=r"needs 'no_such_package': pip install 'echosyn\[web\]'") as error:
        require("no_such_package", extra="web")
    assert isinstance(error.value, EchosynError)
