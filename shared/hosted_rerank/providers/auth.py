"""How a request authenticates: a key in a header, or the credentials of a cloud.

The cloud's own library, an extra, finds the credentials where its users keep them, gets tokens and renews them.
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


class Unreachable(Exception):  # noqa: N818 - it becomes a `TransportFailure`, and no caller sees it
    """The service that issues tokens did not issue one; a retry may succeed."""


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """A key in a header, by default `authorization: Bearer <key>`.

    Args:
        name: The name of the header.
        scheme: The word before the key; empty for none.
    """

    name: str = "authorization"
    scheme: str = "Bearer"

    def headers(self, key: str) -> dict[str, str]:
        """Returns the header that carries a key."""
        return {self.name: f"{self.scheme} {key}".strip()}


@runtime_checkable
class Signer(Protocol):
    """Adds credentials to a request. It may have to fetch a token, so it blocks."""

    needs: ClassVar[tuple[str, str]]
    """The library that it needs, and the extra that installs it."""
    takes_key: ClassVar[bool]
    """Whether it needs a key (`api_key=`, `Provider.api_key_env`)."""

    def headers(self, request: Request, key: str | None, url_params: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the headers that authenticate a request, with names in lower case.

        Args:
            request: The request.
            key: The key, if the caller or the environment has one.
            url_params: The values of the names in braces in the provider's URL, such as `region`.

        Raises:
            AuthenticationError: There are no credentials, or the cloud refuses them.
            Unreachable: The service that issues tokens did not answer.
            ImportError: The library is not installed.
        """
        ...


@dataclass(frozen=True, slots=True)
class GoogleCredentials:
    """Google's application default credentials, as an OAuth token; google-auth finds and renews them.

    Args:
        scope: The OAuth scope of the token.
    """

    needs: ClassVar[tuple[str, str]] = ("google-auth and requests", "vertex")
    takes_key: ClassVar[bool] = False
    scope: str = "https://www.googleapis.com/auth/cloud-platform"

    def headers(self, request: Request, key: str | None, url_params: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        exceptions = _import_library("google.auth.exceptions", self.needs)
        send, headers = _import_library("google.auth.transport.requests", self.needs).Request(), dict[str, str]()

        def send_in_time(*args: Any, **kwargs: Any) -> Any:
            return send(*args, **{**kwargs, "timeout": request.timeout})

        try:
            credentials = _load_google_credentials(self.scope, _read_environment("GOOGLE", "CLOUDSDK"))
            with _TOKEN_LOCK:
                credentials.before_request(send_in_time, "POST", request.url, headers)
        except exceptions.DefaultCredentialsError:
            raise AuthenticationError(
                "there are no Google credentials: run `gcloud auth application-default login`, or set"
                " GOOGLE_APPLICATION_CREDENTIALS to a key file"
            ) from None
        except exceptions.TransportError as error:
            raise Unreachable(f"Google issued no token ({type(error).__name__})") from None
        except exceptions.GoogleAuthError as error:
            raise AuthenticationError(
                f"Google issued no token for its credentials ({type(error).__name__}): run"
                " `gcloud auth application-default login`, or check GOOGLE_APPLICATION_CREDENTIALS"
            ) from None
        return {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class AwsSignature:
    """AWS Signature Version 4; botocore finds the credentials, renews them and signs.

    Args:
        service: The name of the AWS service in the signature.
    """

    needs: ClassVar[tuple[str, str]] = ("botocore", "bedrock")
    takes_key: ClassVar[bool] = False
    service: str = "bedrock"

    def headers(self, request: Request, key: str | None, url_params: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        signing = _import_library("botocore.auth", self.needs)
        exceptions = _import_library("botocore.exceptions", self.needs)
        awsrequest = _import_library("botocore.awsrequest", self.needs)
        # A proxy may change other headers on the way, so they are not signed.
        signed_headers = {"content-type": request.headers["content-type"]}
        signed: Any = awsrequest.AWSRequest("POST", request.url, signed_headers, request.content)
        try:
            credentials = _open_aws_session(_read_environment("AWS")).get_credentials()
            if credentials is None:
                raise AuthenticationError("there are no AWS credentials: run `aws configure`, or set AWS_ACCESS_KEY_ID")
            signer = signing.SigV4Auth(credentials.get_frozen_credentials(), self.service, url_params["region"])
            signer.add_auth(signed)
        except exceptions.ClientError as error:  # the token service refused them
            raise AuthenticationError(
                f"AWS issued no credentials ({type(error).__name__}): run `aws sts get-caller-identity` to see why"
            ) from None
        except exceptions.BotoCoreError as error:
            raise Unreachable(f"AWS issued no credentials ({type(error).__name__})") from None
        return {name.lower(): value for name, value in signed.headers.items()}


@dataclass(frozen=True, slots=True)
class OciSignature:
    """Oracle's HTTP signature; oci reads the API key of the user's configuration file and signs."""

    needs: ClassVar[tuple[str, str]] = ("oci", "oracle")
    takes_key: ClassVar[bool] = False

    def headers(self, request: Request, key: str | None, url_params: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        exceptions = _import_library("oci.exceptions", self.needs)
        requests = _import_library("requests", self.needs)
        content_type = {"content-type": request.headers["content-type"]}
        signed: Any = requests.Request("POST", request.url, content_type, data=request.content).prepare()
        try:
            _load_oci_signer(_read_environment("OCI"))(signed)
        except (exceptions.ClientError, OSError, ValueError) as error:  # no file, no such profile, no private key
            raise AuthenticationError(
                f"there are no Oracle credentials ({type(error).__name__}): run `oci setup config`, or set"
                " OCI_CONFIG_FILE to a configuration file"
            ) from None
        return {name: signed.headers[name] for name in ("authorization", "date", "x-content-sha256")}


@dataclass(frozen=True, slots=True)
class IbmToken:
    """An IAM token for an API key of IBM Cloud; ibm-cloud-sdk-core gets and renews it.

    Args:
        url: The URL of IAM.
    """

    needs: ClassVar[tuple[str, str]] = ("ibm-cloud-sdk-core", "watsonx")
    takes_key: ClassVar[bool] = True
    url: str = "https://iam.cloud.ibm.com"

    def headers(self, request: Request, key: str | None, url_params: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - as every Signer
        api_exception = _import_library("ibm_cloud_sdk_core", self.needs).ApiException
        if not key:
            return {}
        tokens = _open_ibm_token_manager(key, self.url)
        with _TOKEN_LOCK:
            tokens.http_config = {"timeout": request.timeout}
            tokens.request_time = 0  # else the library sleeps for a minute after a failure; the retry policy waits
            try:
                token: str = tokens.get_token()
            except api_exception as error:
                if error.status_code in (400, 401, 403):
                    raise AuthenticationError(
                        "IBM's IAM does not know the key: check WATSONX_APIKEY, or pass another api_key="
                    ) from None
                raise Unreachable(f"IBM's IAM answered {error.status_code}") from None
            except Exception as error:  # noqa: BLE001 - errors of requests, PyJWT and others, for any bad response
                raise Unreachable(f"IBM's IAM issued no token ({type(error).__name__})") from None
        return {"authorization": f"Bearer {token}"}


Auth: TypeAlias = KeyHeader | Signer

_TOKEN_LOCK = threading.Lock()
"""Lets one thread fetch a token; without it, several threads would fetch one at once."""


def _import_library(module: str, needs: tuple[str, str]) -> Any:
    """Returns a module of a cloud's library, as `Any`: few of them have types."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        library, extra = needs
        problem = f"its credentials need {library}: pip install 'hosted-rerank[{extra}]'"
        raise ImportError(problem, name=missing.name) from None


def _read_environment(*prefixes: str) -> tuple[tuple[str, str], ...]:
    """Returns the variables that name the credentials; when one changes, the credentials are loaded again."""
    return tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith(prefixes)))


@lru_cache(maxsize=8)
def _load_google_credentials(scope: str, _environment: tuple[tuple[str, str], ...]) -> Any:
    return import_module("google.auth").default(scopes=[scope])[0]


@lru_cache(maxsize=8)
def _open_aws_session(_environment: tuple[tuple[str, str], ...]) -> Any:
    return import_module("botocore.session").Session()


@lru_cache(maxsize=8)
def _load_oci_signer(environment: tuple[tuple[str, str], ...]) -> Any:
    profile = dict(environment).get("OCI_CLI_PROFILE", "DEFAULT")
    config = import_module("oci.config").from_file(profile_name=profile)
    return import_module("oci.signer").Signer.from_config(config)


@lru_cache(maxsize=64)
def _open_ibm_token_manager(key: str, url: str) -> Any:
    return import_module("ibm_cloud_sdk_core").IAMTokenManager(key, url=url)
