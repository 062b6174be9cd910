/*
 * All that a contributed module includes; see docs/modules.md. A module is compiled against exactly these headers: the stamp in
 * abi.h is of their text, and a server with other headers refuses the module in words (it is compiled again at the next start).
 *
 * Order of the layers: base (memory, texts), rt (waiting), xml, net (HTTP), xmpp (addresses, stanzas), core (hooks, modules).
 */
#ifndef CJABBERD_MODULE_H
#define CJABBERD_MODULE_H

#ifndef CJABBERD_CONTRIB
#define CJABBERD_CONTRIB
#endif

#include "cjabberd/abi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/utf8.h"
#include "rt/fiber.h"
#include "rt/pool.h"
#include "rt/timer.h"
#include "xml/node.h"
#include "xmpp/jid.h"
#include "xmpp/stanza.h"
#include "net/http.h"
#include "core/account/account.h"
#include "core/account/session.h"
#include "core/config/config.h"
#include "core/config/option.h"
#include "core/hooks.h"
#include "core/http_routes.h"
#include "core/module/module.h"
#include "core/module/service.h"
#include "core/router.h"
#include "core/server.h"

/* In a table of options, ended by {0}: MODULE_OPTION("per_minute", INT, "int(1,)", "60"); types as in core/config/option_type.h. */
#define MODULE_OPTION(name_, kind_, type_, default_) {.name = (name_), .type = (type_), .def = (default_), .kind = OPT_##kind_}

#endif
