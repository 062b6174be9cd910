"""The modules of the example configuration that the recordings were made with; those this server does not have yet have no effect."""

MODULES = {
    "mod_adhoc": {}, "mod_adhoc_api": {}, "mod_admin_extra": {}, "mod_announce": {"access": "announce"}, "mod_avatar": {},
    "mod_blocking": {}, "mod_bosh": {}, "mod_caps": {}, "mod_carboncopy": {}, "mod_client_state": {}, "mod_configure": {},
    "mod_disco": {}, "mod_fail2ban": {}, "mod_http_api": {},
    "mod_http_upload": {"put_url": "https://@HOST@:5443/upload"},
    "mod_last": {}, "mod_mam": {"assume_mam_usage": True, "default": "always"}, "mod_mqtt": {},
    "mod_muc": {"access": ["allow"], "access_admin": [{"allow": "admin"}], "access_create": "muc_create",
                "access_persistent": "muc_create", "access_mam": ["allow"], "default_room_options": {"mam": True}},
    "mod_muc_admin": {}, "mod_muc_occupantid": {}, "mod_offline": {"access_max_user_messages": "max_user_offline_messages"},
    "mod_ping": {}, "mod_privacy": {}, "mod_private": {}, "mod_proxy65": {"access": "local", "max_connections": 5},
    "mod_pubsub": {"access_createnode": "pubsub_createnode", "plugins": ["flat", "pep"],
                   "force_node_config": {"storage:bookmarks": {"access_model": "whitelist"}}},
    "mod_push": {}, "mod_push_keepalive": {}, "mod_register": {"ip_access": "trusted_network"},
    "mod_roster": {"versioning": True}, "mod_s2s_bidi": {}, "mod_s2s_dialback": {}, "mod_shared_roster": {},
    "mod_stream_mgmt": {"resend_on_timeout": "if_offline"}, "mod_stun_disco": {}, "mod_vcard": {}, "mod_vcard_xupdate": {},
    "mod_version": {"show_os": False},
}
USERS = ("u1", "u2", "u3", "off", "admin")


def password(user):
    return user.replace("u", "pw") if user[0] == "u" else user


def configure(config):
    config["modules"] = dict(MODULES)
    config["acl"].update(local={"user_regexp": ""}, admin={"user": ["admin@localhost"]})
    config["access_rules"].update(
        local={"allow": "local"}, announce={"allow": "admin"}, configure={"allow": "admin"}, muc_create={"allow": "local"},
        pubsub_createnode={"allow": "local"}, trusted_network={"allow": "loopback"})
    config["api_permissions"].update({
        "tests": {"from": ["mod_http_api"], "who": {"access": {"allow": [{"acl": "loopback"}]}}, "what": "*"},
        "adhoc commands": {"from": "mod_adhoc_api", "who": "admin", "what": "*"},
        "public commands": {"who": {"ip": "127.0.0.1/8"}, "what": ["status", "connected_users_number"]}})
    config["shaper_rules"]["max_user_offline_messages"] = {5000: "admin", 100: "all"}


def register(server):
    for user in USERS:
        server.api("register", user=user, host="localhost", password=password(user))
