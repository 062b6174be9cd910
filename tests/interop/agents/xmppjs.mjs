// A device made of xmpp.js, the library of many programs in JavaScript. It logs in by SASL2 with Bind 2 where the server has them
// (XEP-0388, XEP-0386), resumes inside SASL2 and keeps FAST tokens (XEP-0484). Rosters and the rest are plain stanzas to it.
import { createHash } from "node:crypto";
import dns from "node:dns";
import { createInterface } from "node:readline";

const modules = new URL("../../../build-js/node_modules/", import.meta.url);
const load = async (path) => (await import(new URL(path, modules))).default;
const { client, xml } = await import(new URL("@xmpp/client/index.js", modules));
const { Client } = await import(new URL("@xmpp/client-core/index.js", modules));

const tell = (words) => process.stdout.write(JSON.stringify(words) + "\n");

class Refused extends Error {}

// The domain of the account leads to the address of the test: certificates are checked against names only.
function serviceOf({ jid, address: [ip, port], direct }) {
  dns.lookup = (_name, options, done) => (options.all ? done(null, [{ address: ip, family: 4 }]) : done(null, ip, 4));
  return `${direct ? "xmpps" : "xmpp"}://${jid.split("@")[1]}:${port}`;
}

// The name of the first child that is no text: the condition of an error.
const conditionOf = (error) => error?.getChildElements().find((e) => e.name !== "text")?.name ?? "undefined-condition";

function markerOf(m) {
  for (const kind of ["received", "displayed", "acknowledged"]) {
    const e = m.getChild(kind, "urn:xmpp:chat-markers:0");
    if (e) return [kind, e.attrs.id];
  }
  return null;
}

class Device {
  constructor({ jid, password, resource, ...where }) {
    const [username, domain] = jid.split("@");
    this.roster_items = {};
    this.version = "";
    this.options = { username, domain, password };
    this.xmpp = client({
      service: serviceOf({ jid, ...where }),
      domain,
      resource,
      username,
      password,
      timeout: 60_000,
    });
    this.mechanism = null;
    this.xmpp.reconnect.stop(); // when is said by the test
    this.xmpp.on("error", (e) => this.failed?.(e));
    this.xmpp.on("disconnect", () => {
      tell({ event: "lost" });
      this.failed?.(new Error("the connection ended"));
    });
    this.xmpp.on("send", (e) => {
      if (e.attrs.mechanism && e.name.startsWith("auth")) this.mechanism = e.attrs.mechanism;
    });
    this.xmpp.on("element", (e) => this.onElement(e));
    this.xmpp.on("send", (e) => console.error(">", String(e)));
    this.xmpp.on("stanza", (s) => this.onStanza(s));
    this.xmpp.iqCallee.set("jabber:iq:roster", "query", ({ element }) => this.onPush(element) ?? true);
  }

  onElement(e) {
    console.error("<", String(e)); // for messages of failed tests
    // The library does not count answers to its own requests: it would be sent again what it has seen (XEP-0198 §4).
    if (e.is("iq") && ["result", "error"].includes(e.attrs.type)) this.xmpp.streamManagement.inbound++;
  }

  onStanza(s) {
    if (s.is("message")) this.onMessage(s);
    else if (s.is("presence")) this.onPresence(s);
  }

  onMessage(m, carbon = null) {
    for (const kind of ["sent", "received"]) {
      const copy = m.getChild(kind, "urn:xmpp:carbons:2");
      if (copy && m.attrs.from === this.bare())
        return this.onMessage(copy.getChild("forwarded", "urn:xmpp:forward:0").getChild("message"), kind);
    }
    const asks = Boolean(m.getChild("request", "urn:xmpp:receipts"));
    tell({
      event: "message",
      from: m.attrs.from,
      to: m.attrs.to,
      id: m.attrs.id,
      type: m.attrs.type ?? "normal",
      body: m.getChildText("body"),
      carbon,
      wants_receipt: asks,
      receipt: m.getChild("received", "urn:xmpp:receipts")?.attrs.id ?? null,
      marker: markerOf(m),
      delayed: Boolean(m.getChild("delay", "urn:xmpp:delay")),
      error: m.attrs.type === "error" ? conditionOf(m.getChild("error")) : null,
    });
    if (asks && !carbon && m.attrs.type !== "error") this.receipt(m);
  }

  // While a session is being resumed, the library sends what it is told to and does not count it: it would fall over the server's
  // count later.
  receipt(m) {
    const { streamManagement } = this.xmpp;
    const received = xml("received", { xmlns: "urn:xmpp:receipts", id: m.attrs.id });
    const send = () => this.xmpp.send(xml("message", { to: m.attrs.from, type: "chat" }, received));
    if (streamManagement.enabled) send();
    else streamManagement.once("resumed", send);
  }

  onPresence(p) {
    tell({
      event: "presence",
      from: p.attrs.from,
      type: p.attrs.type ?? null,
      show: p.getChildText("show"),
      status: p.getChildText("status"),
      avatar: p.getChild("x", "vcard-temp:x:update")?.getChildText("photo") || null,
    });
  }

  shown(item) {
    return {
      subscription: item.attrs.subscription ?? "none",
      name: item.attrs.name ?? "",
      groups: item.getChildren("group").map((g) => g.text()).sort(),
    };
  }

  onPush(query) {
    const item = query.getChild("item");
    this.version = query.attrs.ver ?? this.version;
    this.roster_items[item.attrs.jid] = this.shown(item);
    tell({ event: "roster", jid: item.attrs.jid, ask: item.attrs.ask === "subscribe", ...this.shown(item) });
  }

  bare() {
    return this.xmpp.jid.bare().toString();
  }

  // Until the connection stands or has failed.
  async enter(connect) {
    let resumed = false;
    const onResumed = () => (resumed = true);
    const { streamManagement } = this.xmpp;
    try {
      await new Promise((done, failed) => {
        this.failed = failed;
        this.xmpp.once("online", done);
        streamManagement.once("resumed", () => done(onResumed()));
        connect().catch(failed);
      });
    } catch (e) {
      throw new Refused(e.condition ?? e.message);
    } finally {
      this.failed = null;
    }
    return { jid: this.xmpp.jid.toString(), mechanism: this.mechanism, resumed };
  }

  get(child, to) {
    return this.xmpp.iqCaller.get(child, to);
  }

  set(child, to) {
    return this.xmpp.iqCaller.set(child, to);
  }

  query(ns, ...children) {
    return xml("query", { xmlns: ns }, ...children);
  }

  // --- orders ---

  login() {
    return this.enter(() => this.xmpp.start());
  }

  reconnect() {
    return this.enter(() => this.xmpp.reconnect.reconnect());
  }

  async leave() {
    await this.xmpp.stop();
  }

  async roster() {
    const query = await this.get(xml("query", { xmlns: "jabber:iq:roster", ver: this.version }));
    if (query) {
      this.version = query.attrs.ver;
      this.roster_items = Object.fromEntries(query.getChildren("item").map((i) => [i.attrs.jid, this.shown(i)]));
    }
    return { version: this.version, changed: Boolean(query), items: this.roster_items };
  }

  async set_item({ jid, name, groups }) {
    await this.set(this.query("jabber:iq:roster", xml("item", { jid, name }, ...groups.map((g) => xml("group", {}, g)))));
  }

  async presence({ to, type, show, status }) {
    const update = xml("x", { xmlns: "vcard-temp:x:update" });
    await this.xmpp.send(xml("presence", { to, type }, show && xml("show", {}, show), status && xml("status", {}, status), update));
  }

  async chat({ to, body, id }) {
    await this.xmpp.send(
      xml("message", { to, id, type: "chat" }, xml("body", {}, body), xml("request", { xmlns: "urn:xmpp:receipts" }),
        xml("markable", { xmlns: "urn:xmpp:chat-markers:0" })),
    );
  }

  async displayed({ to, id }) {
    await this.xmpp.send(xml("message", { to, type: "chat" }, xml("displayed", { xmlns: "urn:xmpp:chat-markers:0", id })));
  }

  async carbons() {
    await this.set(xml("enable", { xmlns: "urn:xmpp:carbons:2" }));
  }

  async csi({ active }) {
    await this.xmpp.send(xml(active ? "active" : "inactive", { xmlns: "urn:xmpp:csi:0" }));
  }

  async block({ jid }) {
    await this.set(xml("block", { xmlns: "urn:xmpp:blocking" }, xml("item", { jid })));
  }

  async unblock({ jid }) {
    await this.set(xml("unblock", { xmlns: "urn:xmpp:blocking" }, xml("item", { jid })));
  }

  async blocked() {
    const list = await this.get(xml("blocklist", { xmlns: "urn:xmpp:blocking" }));
    return list.getChildren("item").map((i) => i.attrs.jid).sort();
  }

  async set_vcard({ name, photo }) {
    const picture = xml("PHOTO", {}, xml("TYPE", {}, "image/png"), xml("BINVAL", {}, photo));
    await this.set(xml("vCard", { xmlns: "vcard-temp" }, xml("FN", {}, name), picture));
  }

  async vcard({ jid }) {
    const card = await this.get(xml("vCard", { xmlns: "vcard-temp" }), jid);
    const photo = Buffer.from(card.getChild("PHOTO").getChildText("BINVAL"), "base64");
    return { name: card.getChildText("FN"), avatar: createHash("sha1").update(photo).digest("hex") };
  }

  async set_bookmarks({ rooms }) {
    const marks = rooms.map(([jid, name]) => xml("conference", { jid, name, autojoin: "true" }, xml("nick", {}, "me")));
    await this.set(this.query("jabber:iq:private", xml("storage", { xmlns: "storage:bookmarks" }, ...marks)));
  }

  async bookmarks() {
    const query = await this.get(this.query("jabber:iq:private", xml("storage", { xmlns: "storage:bookmarks" })));
    return query.getChild("storage", "storage:bookmarks").getChildren("conference").map((c) => [c.attrs.jid, c.attrs.name]);
  }

  async last({ jid }) {
    return Number((await this.get(this.query("jabber:iq:last"), jid)).attrs.seconds);
  }

  async ping({ jid }) {
    await this.get(xml("ping", { xmlns: "urn:xmpp:ping" }), jid);
  }

  async features({ jid }) {
    const query = await this.get(this.query("http://jabber.org/protocol/disco#info"), jid);
    return query.getChildren("feature").map((f) => f.attrs.var).sort();
  }

  async set_password({ password }) {
    const fields = [xml("username", {}, this.options.username), xml("password", {}, password)];
    await this.set(this.query("jabber:iq:register", ...fields));
  }

  async remove_account() {
    await this.set(this.query("jabber:iq:register", xml("remove")));
  }
}

// XEP-0077 before login, which xmpp.js leaves to its users: its parts, with a stream feature of our own in place of SASL.
async function register({ jid, password, ...where }) {
  const [username, domain] = jid.split("@");
  const entity = new Client({ service: serviceOf({ jid, ...where }), domain });
  (await load("@xmpp/tcp/index.js"))({ entity });
  (await load("@xmpp/tls/index.js"))({ entity });
  const middleware = (await load("@xmpp/middleware/index.js"))({ entity });
  const streamFeatures = (await load("@xmpp/stream-features/index.js"))({ middleware });
  const iqCaller = (await load("@xmpp/iq/caller.js"))({ middleware, entity });
  (await load("@xmpp/starttls/index.js"))({ streamFeatures });
  await new Promise((done, failed) => {
    streamFeatures.use("register", "http://jabber.org/features/iq-register", async () => {
      try {
        const form = await iqCaller.get(xml("query", { xmlns: "jabber:iq:register" }));
        if (!form.getChild("username") || !form.getChild("password")) throw new Error(`asked for ${form}`);
        const fields = [xml("username", {}, username), xml("password", {}, password)];
        await iqCaller.set(xml("query", { xmlns: "jabber:iq:register" }, ...fields));
        done();
      } catch (e) {
        failed(e);
      }
    });
    entity.on("error", failed);
    entity.connect(entity.options.service).then(() => entity.open({ domain })).catch(failed);
  });
  await entity.disconnect();
}

let device = null;

async function obey(order, args) {
  if (order === "register") return register(args);
  if (order === "login") device = new Device(args);
  return device[order](args);
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { n, do: order, ...args } = JSON.parse(line);
    try {
      tell({ n, result: (await obey(order, args)) ?? null });
    } catch (e) {
      console.error(e);
      if (e instanceof Refused) tell({ n, refused: e.message });
      else if (e.condition) tell({ n, refused: e.condition });
      else tell({ n, broke: String(e.stack) });
    }
  })
  .on("close", () => process.exit(0));
