/* SPDX-License-Identifier: MIT */
/* trust.h - whom a client trusts, as its options say it. */
#ifndef YO_SESSIONS_TRUST_H
#define YO_SESSIONS_TRUST_H

#include "options/options.h"
#include "transport/tls/context.h"

/* From `ca`, `cert-hash`, `state-dir` and `tls-keylog` of a set of client's options;
 * the folder that `qlog-dir` names is looked at too, since it is as private.
 * YOMO_ERR_OPTION, YOMO_ERR_FILE, YOMO_ERR_TLS_SETUP, YOMO_ERR_NOMEM; a sentence goes
 * to the log. */
int yo_trust_create(struct yo_tls_client **out, const struct yomo_mem *mem,
                    const yomo_options *options);

#endif
