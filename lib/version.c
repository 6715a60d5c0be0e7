/* SPDX-License-Identifier: MIT */
/* version.c - what was linked, by the libraries' own word. */
#include <yomo/version.h>

#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <uv.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char text[160];

static void write_text(void)
{
    snprintf(text, sizeof text, "%s (ngtcp2 %s, nghttp3 %s, OpenSSL %s, libuv %s)",
             YOMO_VERSION_STRING, ngtcp2_version(0)->version_str,
             nghttp3_version(0)->version_str, OpenSSL_version(OPENSSL_VERSION_STRING),
             uv_version_string());
}

uint32_t yomo_version(void)
{
    return (uint32_t)YOMO_VERSION_MAJOR << 16 | (uint32_t)YOMO_VERSION_MINOR << 8 |
           (uint32_t)YOMO_VERSION_PATCH;
}

const char *yomo_version_string(void)
{
    pthread_once(&once, write_text);
    return text;
}
