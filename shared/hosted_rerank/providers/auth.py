"""How a request shows who sends it: a key in a header, or credentials of a cloud.

A cloud's credentials are the business of its own library, an extra: it finds them where its users keep them, gets
tokens for them, and gets new ones before those end.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from hosted_rerank.errors import AuthenticationError
from hosted_rerank.wire import Request


class Unreachable(Exception):  # noqa: N818 - it becomes a `TransportFailure`, and is no error of ours
    """The service that gives out tokens gave none, this time."""


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """A key in a header: `authorization: Bearer <key>` where nothing else is said."""

    name: str = "authorization"
    scheme: str = "Bearer"

    def headers(self, key: str) -> dict[str, str]:
        """Return the header for a key."""
        return {self.name: f"{self.scheme} {key}".strip()}


@runtime_checkable
class Signer(Protocol):
    """Puts credentials on a request. It may ask a service for them, so it blocks."""

    needs: ClassVar[tuple[str, str]]
    """The library, and the extra that has it."""
    takes_key: ClassVar[bool]
    """Whether it needs a key (`api_key=`, `Provider.api_key_env`)."""

    def headers(self, request: Request, key: str | None, parts: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers that show who sends the request, names in lower case.

        Args:
            request: What is sent.
            key: The key, where the caller or the environment has one.
            parts: What the names in braces of the provider's URL stand for.

        Raises:
            AuthenticationError: There are no credentials, or they are refused.
            Unreachable: The service that gives out tokens did not answer.
            ImportError: The library is not installed.
        """
        ...


@dataclass(frozen=True, slots=True)
class GoogleCredentials:
    """Google's application default credentials, as an OAuth token; google-auth finds and renews them."""

    needs: ClassVar[tuple[str, str]] = ("google-auth and requests", "vertex")
    takes_key: ClassVar[bool] = False
    scope: str = "https://www.googleapis.com/auth/cloud-platform"

    def headers(self, request: Request, key: str | None, parts: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        problems = _library("google.auth.exceptions", self.needs)
        asking, headers = _library("google.auth.transport.requests", self.needs).Request(), dict[str, str]()

        def ask(*args: Any, **more: Any) -> Any:
            return asking(*args, **{**more, "timeout": request.timeout})

        try:
            credentials = _google_credentials(self.scope, _environment("GOOGLE", "CLOUDSDK"))
            with _ONE_AT_A_TIME:  # or several threads would ask for a token at once
                credentials.before_request(ask, "POST", request.url, headers)
        except problems.DefaultCredentialsError:
            raise AuthenticationError(
                "there are no Google credentials: run `gcloud auth application-default login`, or set"
                " GOOGLE_APPLICATION_CREDENTIALS to a key file"
            ) from None
        except problems.TransportError as error:
            raise Unreachable(f"no token from Google ({type(error).__name__})") from None
        except problems.GoogleAuthError as error:
            raise AuthenticationError(f"Google gave no token for its credentials ({type(error).__name__})") from None
        return {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class AwsSignature:
    """AWS Signature Version 4; botocore finds the credentials, renews them and signs."""

    needs: ClassVar[tuple[str, str]] = ("botocore", "bedrock")
    takes_key: ClassVar[bool] = False
    service: str = "bedrock"

    def headers(self, request: Request, key: str | None, parts: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        signing, problems = _library("botocore.auth", self.needs), _library("botocore.exceptions", self.needs)
        kept = {"content-type": request.headers["content-type"]}  # others may change on the way, so they are not signed
        signed: Any = _library("botocore.awsrequest", self.needs).AWSRequest("POST", request.url, kept, request.content)
        try:
            credentials = _aws_session(_environment("AWS")).get_credentials()
            if credentials is None:
                raise AuthenticationError("there are no AWS credentials: run `aws configure`, or set AWS_ACCESS_KEY_ID")
            signing.SigV4Auth(credentials.get_frozen_credentials(), self.service, parts["region"]).add_auth(signed)
        except problems.ClientError as error:  # the token service's own refusal
            raise AuthenticationError(f"AWS gave no credentials ({type(error).__name__})") from None
        except problems.BotoCoreError as error:
            raise Unreachable(f"no credentials from AWS ({type(error).__name__})") from None
        return {name.lower(): value for name, value in signed.headers.items()}


@dataclass(frozen=True, slots=True)
class IbmToken:
    """An IAM token for an API key of IBM Cloud; ibm-cloud-sdk-core gets and renews it."""

    needs: ClassVar[tuple[str, str]] = ("ibm-cloud-sdk-core", "watsonx")
    takes_key: ClassVar[bool] = True
    url: str = "https://iam.cloud.ibm.com"

    def headers(self, request: Request, key: str | None, parts: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        refused = _library("ibm_cloud_sdk_core", self.needs).ApiException
        if not key:
            return {}
        tokens = _ibm_tokens(key, self.url)
        with _ONE_AT_A_TIME:
            tokens.http_config = {"timeout": request.timeout}
            tokens.request_time = 0  # or it would sleep for a minute after a failure, and we know when to ask again
            try:
                token: str = tokens.get_token()
            except refused as error:
                if error.status_code in (400, 401, 403):
                    problem = "IBM's IAM does not know the key: check api_key= or WATSONX_APIKEY"
                    raise AuthenticationError(problem) from None
                raise Unreachable(f"IBM's IAM answered {error.status_code}") from None
            except Exception as error:  # noqa: BLE001 - requests' and PyJWT's, and what else a bad answer may cause
                raise Unreachable(f"no token from IBM's IAM ({type(error).__name__})") from None
        return {"authorization": f"Bearer {token}"}


Auth: TypeAlias = KeyHeader | Signer

_ONE_AT_A_TIME = threading.Lock()


def _library(module: str, needs: tuple[str, str]) -> Any:
    """A module of a cloud's library; few of them have types."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        package, extra = needs
        problem = f"its credentials need {package}: pip install 'hosted-rerank[{extra}]'"
        raise ImportError(problem, name=missing.name) from None


def _environment(*prefixes: str) -> tuple[tuple[str, str], ...]:
    """The variables that credentials are found by: when they change, they are looked for anew."""
    return tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith(prefixes)))


@lru_cache(maxsize=8)
def _google_credentials(scope: str, _environment: tuple[tuple[str, str], ...]) -> Any:
    return import_module("google.auth").default(scopes=[scope])[0]


@lru_cache(maxsize=8)
def _aws_session(_environment: tuple[tuple[str, str], ...]) -> Any:
    return import_module("botocore.session").Session()


@lru_cache(maxsize=64)
def _ibm_tokens(key: str, url: str) -> Any:
    return import_module("ibm_cloud_sdk_core").IAMTokenManager(key, url=url)
