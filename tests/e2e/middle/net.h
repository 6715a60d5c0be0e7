/* SPDX-License-Identifier: MIT */
/* net.h - two network namespaces with two cables between them, made and removed by the
 * test: the server's, with the address 10.77.0.1, and the client's, with 10.77.1.2 on
 * the first cable, which is preferred, and 10.77.2.2 on the second. */
#ifndef TESTS_E2E_MIDDLE_NET_H
#define TESTS_E2E_MIDDLE_NET_H

#include <stdbool.h>

#define NET_SERVER "10.77.0.1"
#define NET_SERVER_SECOND "10.77.2.1" /* always by the second cable */

/* False: not permitted here, or a program is missing; `why` says what. */
bool net_begin(const char **why);
void net_end(void);

/* This thread, and those that it makes, are there from now on. */
void net_enter_server(void);
void net_enter_client(void);
void net_leave(void);

/* A command in the server's or client's namespace: "ip ..." or "nft ...". */
void net_server(const char *format, ...) __attribute__((format(printf, 1, 2)));
void net_client(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
