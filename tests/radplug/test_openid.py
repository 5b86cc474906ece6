"""Signing in with the hospital's account: the whole way with a real provider, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from browsers import PASSWORD, Client, chromium
from joserfc.jwk import OctKey, RSAKey
from openid_providers import SECRET, OddProvider, consent, odd_provider, openid, query_of, real_provider
from peers import free_port
from playwright.sync_api import expect

from radplug.doctor import examine
from radplug.people import NotAdmitted, Person, Role, admitted
from radplug.records.people import BadAccount
from radplug.records.schema import audit
from radplug.settings import OpenIdSettings, SettingsError
from radplug.web.provider import SKEW, TIME_TO_SIGN_IN, NotBegun, Provider
from radplug.web.serving import serving
from radplug.wiring import House

MARIA = Person("hospital:maria", Role.RADIOLOGIST)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def serve(build: Callable[..., House], port: int) -> Callable[[dict[str, Any]], House]:
    return lambda openid: build(web={"port": port, "openid": openid})


@pytest.fixture
def real(serve: Callable[..., House], tmp_path: Path, address: str) -> Iterator[House]:
    """A site with a real provider."""
    with real_provider(tmp_path, address) as settings:
        house = serve(settings)
        with serving(house):
            yield house


@pytest.fixture
def odd() -> Iterator[OddProvider]:
    with odd_provider() as provider:
        yield provider


@pytest.fixture
def site(serve: Callable[..., House], odd: OddProvider, tmp_path: Path, address: str) -> Iterator[House]:
    """A site with a provider that answers as it is told to."""
    house = serve(openid(tmp_path, odd.issuer, address))
    with serving(house):
        yield house


def begun(one: Client, to: str = "/") -> str:
    """Where a browser is sent that wants to sign in."""
    answer = one.get(f"/openid/begin?to={to}")
    assert answer.status == 303
    return answer.headers["location"]


def noted(house: House, event: str) -> list[tuple[str, dict[str, Any]]]:
    with house.database.reading() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.event == event).order_by(audit.c.id))
        return [(row.actor, row.detail) for row in rows]


# ── the whole way, with a real provider ──


def test_whoever_has_a_role_at_the_hospital_is_let_in(real: House, address: str) -> None:
    one = Client(address)
    assert "Sign in with the hospital’s account" in one.get("/sign-in?to=/%3Fq%3Dabc").text
    there = begun(one, "/%3Fq%3Dabc")
    back = one.get(consent(there, sub="sub-1"))
    assert (back.status, back.headers["location"]) == (303, "/?q=abc")
    assert "hospital:maria" in one.get("/").text
    issuer = real.settings.web.openid.issuer if real.settings.web.openid else ""
    assert noted(real, "signed in") == [("hospital:maria", {"role": "radiologist", "subject": f"{issuer} sub-1"})]


def test_signing_out_ends_the_providers_session_as_well(real: House, address: str) -> None:
    one = Client(address)
    one.get(consent(begun(one), sub="sub-1"))
    out = one.post("/sign-out")
    (there,) = (part.removeprefix("url=") for part in out.headers["refresh"].split("; ", 1)[1:])
    told = query_of(there)
    assert real.settings.web.openid is not None
    assert there.startswith(f"{real.settings.web.openid.issuer}/oauth2/end_session?")
    assert told["client_id"] == real.settings.web.openid.client_id
    assert told["post_logout_redirect_uri"] == f"{address}/sign-in"
    assert told["id_token_hint"].count(".") == 2
    assert one.get("/").status == 303
    real.people.add("it", Role.IT, PASSWORD, real.now())
    assert one.sign_in("it").status == 303
    assert one.post("/sign-out").headers["location"] == "/sign-in"  # an account of ours concerns nobody else


def test_whoever_has_none_of_the_groups_is_told_so(real: House, address: str) -> None:
    one = Client(address)
    back = one.get(consent(begun(one), sub="sub-2"))
    assert back.status == 403
    assert "has no role for radplug; ask IT" in back.text
    assert one.get("/").status == 303
    ((actor, detail),) = noted(real, "sign-in refused")
    assert actor == "unknown"
    assert detail["subject"].endswith(" sub-2")


def test_a_sign_in_that_is_cancelled_is_said_to_be(real: House, address: str) -> None:
    one = Client(address)
    back = one.get(consent(begun(one), action="deny"))
    assert back.status == 401
    assert "was cancelled" in back.text


def test_a_code_counts_once(real: House, address: str) -> None:
    one = Client(address)
    there = begun(one)
    kept = one.cookies["radplug-openid"].value
    back = consent(there, sub="sub-1")
    assert one.get(back).status == 303
    one.cookies.clear()
    assert one.get(back).status == 400  # the browser has nothing that it began
    one.cookies["radplug-openid"] = kept
    assert one.get(back).status == 502  # and the provider takes a code once
    assert one.get("/").status == 303
    assert "invalid_grant" in noted(real, "sign-in refused")[0][1]["why"]


def test_in_a_browser_there_and_back_and_out(real: House, address: str) -> None:
    """The provider is `localhost`, we are 127.0.0.1: for a browser, two sites."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.keyboard.press("Enter")  # the hospital's account has the focus
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("alert")).to_contain_text("was cancelled")
        page.get_by_role("link", name="Sign in with the hospital’s account").click()
        page.get_by_role("button", name="sub-1").click()
        page.locator("#live.well").wait_for()
        expect(page.locator("header")).to_contain_text("hospital:maria (radiologist)")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("http://localhost:*/oauth2/end_session?*")
        page.get_by_role("button").first.click()
        page.wait_for_url(f"{address}/sign-in")
        page.goto(address)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


# ── what is refused ──

HOUR = 3600


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["radplug", "another"], "azp": "another"}, "azp"),
        ({"iss": "http://127.0.0.1/another"}, "iss"),
        ({"sub": None}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": int(time.time()) - SKEW - 1}, "exp"),
        ({"iat": int(time.time()) + HOUR}, "iat"),
        ({"nbf": int(time.time()) + HOUR}, "nbf"),
    ],
)
def test_a_token_that_is_not_for_this_sign_in(
    site: House, odd: OddProvider, address: str, claims: dict[str, object], named: str
) -> None:
    odd.claims = claims
    refused_token(site, odd, address, named)


def refused_token(site: House, odd: OddProvider, address: str, named: str) -> None:
    one = Client(address)
    back = one.get(odd.consent(begun(one)))
    assert back.status == 502
    assert "cannot be used; tell IT" in back.text
    assert one.get("/").status == 303
    assert f"({named})" in noted(site, "sign-in refused")[-1][1]["why"]


def test_clocks_may_differ_by_a_little(site: House, odd: OddProvider, address: str) -> None:
    odd.claims = {"exp": int(time.time()) - SKEW // 2, "iat": int(time.time()) + SKEW // 2}
    one = Client(address)
    assert one.get(odd.consent(begun(one))).status == 303


def test_a_key_that_is_not_the_providers(site: House, odd: OddProvider, address: str) -> None:
    odd.published = [RSAKey.generate_key(2048, {"kid": odd.key.kid})]
    refused_token(site, odd, address, "BadSignatureError")


@pytest.mark.parametrize(("alg", "key"), [("none", OctKey.generate_key()), ("HS256", OctKey.import_key(SECRET))])
def test_a_token_that_others_could_have_made(
    site: House, odd: OddProvider, address: str, alg: str, key: OctKey
) -> None:
    odd.published, odd.key, odd.header = [odd.key], key, {"alg": alg}
    refused_token(site, odd, address, "UnsupportedAlgorithmError")


def test_the_provider_may_change_its_keys_at_any_time(site: House, odd: OddProvider, address: str) -> None:
    one = Client(address)
    assert one.get(odd.consent(begun(one))).status == 303
    old, odd.key = odd.key, RSAKey.generate_key(2048, auto_kid=True)
    assert one.get(odd.consent(begun(one))).status == 303
    odd.published, odd.key = [odd.key], old
    refused_token(site, odd, address, "InvalidKeyIdError")


@pytest.mark.parametrize("answer", [b"[]", b"{}", b"nonsense", b'{"id_token": 7}', b'{"id_token": "a.b"}'])
def test_an_answer_that_is_none(site: House, odd: OddProvider, address: str, answer: bytes) -> None:
    odd.answer = answer
    one = Client(address)
    assert one.get(odd.consent(begun(one))).status == 502


def test_a_state_that_is_not_this_browsers(odd: OddProvider, site: House, address: str) -> None:
    one, other = Client(address), Client(address)
    back = odd.consent(begun(one))
    begun(other)
    for stranger in (Client(address), other):
        assert stranger.get(back).status == 400
    assert one.get(back.replace("state=", "state=x")).status == 400
    assert one.get(back).status == 400  # a wrong one has ended the sign-in


def test_a_state_that_is_too_old(odd: OddProvider, tmp_path: Path, address: str, site: House) -> None:
    provider = Provider(OpenIdSettings(**openid(tmp_path, odd.issuer, address)))
    now = site.now()
    there, sealed = provider.begin("/", now)
    state = query_of(there)["state"]
    assert provider.begun(sealed, state, now + TIME_TO_SIGN_IN - timedelta(seconds=2)).to == "/"
    with pytest.raises(NotBegun):
        provider.begun(sealed, state, now + TIME_TO_SIGN_IN + timedelta(seconds=1))
    with pytest.raises(NotBegun):  # another process's
        Provider(OpenIdSettings(**openid(tmp_path, odd.issuer, address))).begun(sealed, state, now)


def test_what_is_kept_in_between_is_for_us_alone(site: House, odd: OddProvider, address: str) -> None:
    answer = Client(address).get("/openid/begin")
    cookie = set(answer.headers["set-cookie"].split("; "))
    assert {"HttpOnly", "SameSite=lax", "Path=/openid", f"Max-Age={TIME_TO_SIGN_IN.seconds}"} <= cookie
    asked = query_of(answer.headers["location"])
    assert (asked["tenant"], asked["scope"], asked["code_challenge_method"]) == ("1", "openid profile", "S256")


def test_signing_in_leads_to_no_other_site(site: House, odd: OddProvider, address: str) -> None:
    one = Client(address)
    assert one.get(odd.consent(begun(one, "//evil.example"))).headers["location"] == "/"


def test_a_provider_that_is_away(site: House, odd: OddProvider, address: str) -> None:
    one = Client(address)
    there = begun(one)
    odd.named = {"token_endpoint": f"http://127.0.0.1:{free_port()}/token"}
    back = one.get(odd.consent(there))
    assert back.status == 503
    assert "does not answer just now" in back.text
    assert one.get("/").status == 303


def test_a_provider_that_is_another(site: House, odd: OddProvider, address: str) -> None:
    odd.named = {"issuer": "https://another.example"}
    assert Client(address).get("/openid/begin").status == 502


def test_signing_out_where_the_provider_has_no_page_for_it(site: House, odd: OddProvider, address: str) -> None:
    one = Client(address)
    one.get(odd.consent(begun(one)))
    assert one.post("/sign-out").headers["location"] == "/sign-in"
    assert one.get("/").status == 303


def test_the_audit_trail_holds_no_secret(site: House, odd: OddProvider, address: str) -> None:
    odd.claims = {"nonce": "another"}
    one = Client(address)
    one.get(odd.consent(begun(one)))
    (told,) = noted(site, "sign-in refused")
    assert not any(secret in str(told) for secret in ("the-code", odd.asked["state"], odd.asked["nonce"], "another"))


# ── beside the accounts that stand ──


def test_a_local_account_of_the_same_name_is_somebody_else(site: House, odd: OddProvider, address: str) -> None:
    site.people.add("maria", Role.IT, PASSWORD, site.now())
    local, hospital = Client(address), Client(address)
    assert local.sign_in("maria").status == 303
    assert hospital.get(odd.consent(begun(hospital))).status == 303
    assert 'maria <span class="quiet">(it)' in local.get("/").text
    assert 'hospital:maria <span class="quiet">(radiologist)' in hospital.get("/").text
    assert Client(address).sign_in("hospital:maria").status == 401
    assert Client(address).sign_in("hospital:maria", "").status in (401, 422)


def test_local_accounts_may_be_switched_off(
    build: Callable[..., House], odd: OddProvider, tmp_path: Path, address: str, port: int
) -> None:
    settings = {**openid(tmp_path, odd.issuer, address), "local": False}
    with serving(build(web={"port": port, "openid": settings})):
        one = Client(address)
        assert "Password" not in one.get("/sign-in").text
        assert one.sign_in("it").status == 403
        assert one.get(odd.consent(begun(one))).status == 303


def test_where_it_is_not_set_up_there_is_no_such_way(build: Callable[..., House]) -> None:
    with serving(build(web={"port": 0})) as address:
        one = Client(address)
        assert "hospital" not in one.get("/sign-in").text
        assert one.get("/openid/begin").status == 404
        assert one.get("/openid/back?code=1&state=2").status == 404


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["technicians", "doctors"], Role.RADIOLOGIST),  # the first in the settings counts
        ("technicians", Role.TECHNOLOGIST),
        (["Doctors"], None),
        ([], None),
        (None, None),
        (7, None),
        ([["doctors"]], None),
    ],
)
def test_which_role_a_group_gives(groups: object, role: Role | None) -> None:
    roles = {"doctors": Role.RADIOLOGIST, "technicians": Role.TECHNOLOGIST}
    if role is None:
        with pytest.raises(NotAdmitted, match="ask IT"):
            admitted("maria", groups, roles)
    else:
        assert admitted("maria", groups, roles) == Person("hospital:maria", role)


@pytest.mark.parametrize("name", [None, 7, "", " ", " maria", "a\nb", "\u202eairam", "x" * 56])
def test_names_that_are_refused(name: object) -> None:
    with pytest.raises(NotAdmitted, match="characters"):
        admitted(name, "doctors", {"doctors": Role.RADIOLOGIST})


def test_no_local_account_looks_like_the_hospitals(house: House) -> None:
    with pytest.raises(BadAccount, match="no colon"):
        house.people.add("hospital:maria", Role.RADIOLOGIST, PASSWORD, house.now())


def test_a_name_that_the_provider_gives_to_somebody_else_ends_the_formers_sessions(house: House) -> None:
    now, life = house.now(), house.settings.web.session_life
    house.people.vouched_for(MARIA, "issuer sub-1", now)
    secret = house.people.begin(MARIA, now, "an.id.token")
    demoted = Person(MARIA.name, Role.TECHNOLOGIST)
    house.people.vouched_for(demoted, "issuer sub-1", now)
    assert house.people.whose(secret, now, life) == demoted  # the provider's latest word holds everywhere
    house.people.vouched_for(MARIA, "issuer sub-9", now)
    assert house.people.whose(secret, now, life) is None


# ── settings, and what the doctor says ──


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("issuer", "http://login.hospital.example", "https://"),
        ("address", "radplug.hospital.example", "https://"),
        ("roles", {}, "roles"),
        ("roles", {"doctors": "surgeon"}, "roles"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, setting: str, value: object, named: str) -> None:
    good = openid(tmp_path, "https://login.hospital.example", "https://radplug.hospital.example")
    OpenIdSettings(**good)
    with pytest.raises(ValueError, match=named):
        OpenIdSettings(**good | {setting: value})


def test_a_secret_that_is_not_there(
    tmp_path: Path, odd: OddProvider, address: str, build: Callable[..., House]
) -> None:
    settings = openid(tmp_path, odd.issuer, address, secret="")
    house = build(web={"port": 0, "openid": settings})
    with pytest.raises(SettingsError, match="empty first line"), serving(house):
        pass
    assert "empty first line" in said(house)[1]


def test_the_doctor_asks_the_provider(
    tmp_path: Path, odd: OddProvider, address: str, build: Callable[..., House]
) -> None:
    house = build(web={"port": 0, "openid": openid(tmp_path, odd.issuer, address)})
    assert said(house) == (True, f"{odd.issuer} answers; only a person shows whether it lets in")
    odd.named = {"token_endpoint": None}
    assert "token_endpoint" in said(house)[1]
    gone = build(web={"port": 0, "openid": openid(tmp_path, f"http://127.0.0.1:{free_port()}", address)})
    assert "does not answer" in said(gone)[1]


def said(house: House) -> tuple[bool, str]:
    (found,) = [finding for finding in examine(house) if finding.about == "hospital's sign-in"]
    return found.well, found.text
