"""Contact addresses of the server (XEP-0157) in its disco#info."""
D = "{jabber:x:data}"


def configure(config):
    config["modules"]["mod_disco"] = {"server_info": [
        {"modules": "all", "name": "abuse-addresses", "urls": ["mailto:abuse@example.test", "xmpp:abuse@example.test"]},
        {"modules": ["mod_disco"], "name": "admin-addresses", "urls": ["mailto:admin@example.test"]},
        {"modules": ["mod_muc"], "name": "status-addresses", "urls": ["https://example.test"]}]}


def test_form(server, streams):
    """§2: a form with a hidden FORM_TYPE and a field for each kind of address; other services' are theirs."""
    s = streams(server.login(server.register()))
    info = s.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to="localhost")
    form = info.find("{http://jabber.org/protocol/disco#info}query").find(f"{D}x")
    assert form.get("type") == "result"
    assert [(f.get("var"), f.get("type"), [v.text for v in f.findall(f"{D}value")]) for f in form.findall(f"{D}field")] == [
        ("FORM_TYPE", "hidden", ["http://jabber.org/network/serverinfo"]),
        ("abuse-addresses", "list-multi", ["mailto:abuse@example.test", "xmpp:abuse@example.test"]),
        ("admin-addresses", "list-multi", ["mailto:admin@example.test"])]
    account = s.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert account.find(f".//{D}x") is None
