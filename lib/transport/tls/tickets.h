/* SPDX-License-Identifier: MIT */
/* tickets.h - the keys that session tickets are sealed with.
 *
 * All workers of a server share them, and so does the server that is started after it:
 * they lie in a file of the state directory. A key seals tickets for YO_TICKET_KEY_S
 * seconds and opens them for as long again, which is a ticket's life; then it is
 * forgotten, and with it what was recorded under its tickets. Whoever finds the newest
 * key too old makes the next one and writes it down for the others.
 *
 * Thread: any. Time is seconds since 1970. */
#ifndef YO_TLS_TICKETS_H
#define YO_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"

#define YO_TICKET_KEY_S (12 * 3600)
#define YO_TICKET_NAME_SIZE 16
#define YO_TICKET_KEYS_MAX 4 /* in a file */

enum yo_ticket_use { YO_TICKETS_TCP, YO_TICKETS_QUIC }; /* neither opens the other's */

struct yo_ticket_seal { /* of one key, for one use */
    uint8_t name[YO_TICKET_NAME_SIZE];
    uint8_t mac[32];    /* HMAC-SHA-256 */
    uint8_t cipher[32]; /* AES-256-CBC */
};

struct yo_ticket_keys;

/* Read the file, or make it (0600); NULL: in memory only. One that others may read is
 * refused. YOMO_ERR_FILE, YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM; `why` gets a sentence. */
int yo_ticket_keys_open(struct yo_ticket_keys **out, const struct yomo_mem *mem,
                        const char *path, uint64_t now_s, struct yo_buf *why);
void yo_ticket_keys_ref(struct yo_ticket_keys *keys);
void yo_ticket_keys_close(struct yo_ticket_keys *keys); /* one reference; accepts NULL */

/* What to seal a ticket with; the next key is made when it is time. */
void yo_ticket_keys_newest(struct yo_ticket_keys *keys, enum yo_ticket_use use,
                           uint64_t now_s, struct yo_ticket_seal *seal);
/* What a ticket of that name was sealed with. `renew`: it is not the newest. */
bool yo_ticket_keys_find(struct yo_ticket_keys *keys, enum yo_ticket_use use,
                         const uint8_t name[YO_TICKET_NAME_SIZE], uint64_t now_s,
                         struct yo_ticket_seal *seal, bool *renew);

#endif
