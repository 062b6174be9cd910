"""FAST (XEP-0484) with xmpp.js, which asks for tokens by itself: slixmpp and nbxmpp do not know it."""
import pytest

from device import Device
from server import PASSWORD, Server


@pytest.fixture(params=[{}, {"mod_stream_mgmt": {"resume_timeout": 300}}], ids=["alone", "with resumption"])
def home(request, tmp_path):
    def change(config):
        config["modules"].update({"mod_auth_fast": {}, **request.param})

    s = Server(tmp_path / "home", change)
    s.resumes = bool(request.param)
    s.start()
    yield s
    try:
        s.stop()
    finally:
        s.give_up()


def come_back(device):
    device.wire.cut()
    device.expect("lost")
    device.wire.mend()
    return device.do("reconnect")


def test_token_instead_of_the_password(home, tmp_path):
    user = home.register()
    phone = Device("xmppjs", home, tmp_path, "phone")
    try:
        phone.login(f"{user}@localhost", PASSWORD, "phone")
        assert not phone.entered["mechanism"].startswith("HT-")
        for _ in range(3):
            back = come_back(phone)
            assert back["mechanism"] == "HT-SHA-256-NONE" and back["resumed"] == home.resumes, phone.words()
            phone.do("ping", jid="localhost")
        # A new password ends the tokens: this one and the password that the device remembers are refused.
        home.api("change_password", user=user, host="localhost", newpass="another")
        home.api("change_password", user=user, host="localhost", newpass=PASSWORD)
        assert not come_back(phone)["mechanism"].startswith("HT-"), "the password again"
    finally:
        phone.close()
