/* What mod_host_meta announces (XEP-0156), for its tests. */
#ifndef MOD_API_HOST_META_H
#define MOD_API_HOST_META_H

#include "core/config/config.h"

struct host_meta_link {
    const char *rel;
    struct str href;
};

#define HOST_META_LINKS 2
/* Of a host; how many. Texts live in `a`. */
size_t host_meta_links(struct arena *a, const struct config *c, const struct vhost *h, struct host_meta_link out[HOST_META_LINKS]);
/* The two documents (RFC 6415). */
struct str host_meta_xrd(struct arena *a, const struct host_meta_link *links, size_t n);
struct str host_meta_jrd(struct arena *a, const struct host_meta_link *links, size_t n);
/* The host that a request names in its header Host, with or without a port; NULL: none of ours. */
const struct vhost *host_meta_host(struct arena *a, const struct config *c, struct str header);

#endif
