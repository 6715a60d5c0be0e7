/* SPDX-License-Identifier: MIT */
/* jwt.c
 *
 * The happy path: three parts between two dots; the header names an algorithm, a key
 * that is for it signed the first two parts, and only then is the payload looked at. */
#include "server/auth/jwt.h"

#include "base/check.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/limits.h"
#include "wire/msgpack.h"

#define MEMBERS_MAX 64 /* of the header or payload: each is compared with each */

static int refuse(const char **why, const char *text)
{
    *why = text;
    return YOMO_ERR_AUTH;
}

/* RFC 7515 2: no padding, no white space, the URL alphabet alone. */
static int decode_part(struct yo_buf *out, struct yo_span part)
{
    for (size_t i = 0; i < part.size; i++) {
        if (part.data[i] == '+' || part.data[i] == '/' || part.data[i] == '=') {
            return YOMO_ERR_INVALID;
        }
    }
    return yo_base64_decode(out, part);
}

/* RFC 7519 4 */
bool yo_jwt_members_differ(struct yo_span map)
{
    struct yo_span names[MEMBERS_MAX];
    struct yo_mp_reader reader;
    uint32_t count;

    yo_mp_reader_init(&reader, map);
    count = yo_mp_read_map(&reader);
    if (reader.error || count > MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = yo_mp_as_str(yo_mp_skip(&reader));
        yo_mp_skip(&reader);
        for (uint32_t k = 0; k < i; k++) {
            if (yo_span_equal(names[i], names[k])) {
                return false;
            }
        }
    }
    return !reader.error;
}

/* A part of the token as one MessagePack map in `out`. */
static int read_part(struct yo_buf *out, struct yo_span part)
{
    struct yo_buf json;
    int rv;

    yo_buf_init(&json, out->mem);
    rv = decode_part(&json, part);
    rv = rv == YOMO_OK ? yo_json_to_mp(out, yo_buf_span(&json)) : rv;
    if (rv == YOMO_OK && !yo_jwt_members_differ(yo_buf_span(out))) {
        rv = YOMO_ERR_INVALID;
    }
    yo_buf_finish(&json);
    return rv == YOMO_OK || rv == YOMO_ERR_NOMEM ? rv : YOMO_ERR_INVALID;
}

bool yo_jwt_date(struct yo_span claims, const char *name, uint64_t *seconds)
{
    struct yo_mp_reader reader;
    struct yo_mp_value value;

    yo_mp_reader_init(&reader, yo_mp_map_get(claims, name));
    value = yo_mp_read(&reader);
    if (reader.error) {
        return false;
    }
    switch (value.kind) {
    case YO_MP_UINT:
        *seconds = value.uint;
        return true;
    case YO_MP_INT:
        *seconds = 0;
        return true;
    case YO_MP_FLOAT:
        if (value.real >= 9e15 || value.real != value.real) {
            return false;
        }
        *seconds = value.real > 0 ? (uint64_t)value.real : 0;
        return true;
    default:
        return false;
    }
}

/* RFC 7519 4.1.3 */
static bool audience_fits(struct yo_span claims, struct yo_span wanted)
{
    struct yo_span aud = yo_mp_map_get(claims, "aud");
    struct yo_span text = yo_mp_as_str(aud);
    struct yo_mp_reader reader;

    if (!aud.data) {
        return !wanted.data;
    }
    if (!wanted.data) {
        return false;
    }
    if (text.data) {
        return yo_span_equal(text, wanted);
    }
    yo_mp_reader_init(&reader, aud);
    for (uint32_t i = yo_mp_read_array(&reader); i > 0 && !reader.error; i--) {
        text = yo_mp_as_str(yo_mp_skip(&reader));
        if (text.data && yo_span_equal(text, wanted)) {
            return true;
        }
    }
    return false;
}

static int check_claims(struct yo_span claims, const struct yo_jwt_rules *rules,
                        uint64_t now_s, const char **why)
{
    uint64_t date = 0;

    if (!yo_jwt_date(claims, "exp", &date)) {
        return refuse(why, "the token has no `exp`, or one that is no date");
    }
    if (date < UINT64_MAX - rules->leeway_s && now_s >= date + rules->leeway_s) {
        return refuse(why, "the token has expired");
    }
    if (yo_mp_map_get(claims, "nbf").data &&
        (!yo_jwt_date(claims, "nbf", &date) || date > now_s + rules->leeway_s)) {
        return refuse(why, "the token is not valid yet");
    }
    if (!audience_fits(claims, rules->audience)) {
        return refuse(why, "the token is for another audience (option token-audience)");
    }
    if (rules->issuer.data &&
        !yo_span_equal(yo_mp_as_str(yo_mp_map_get(claims, "iss")), rules->issuer)) {
        return refuse(why, "the token is from another issuer (option token-issuer)");
    }
    return YOMO_OK;
}

static int check_signature(struct yo_span header, const struct yo_auth_keys *keys,
                           struct yo_span bytes, struct yo_span part,
                           struct yo_buf *work, const char **why)
{
    struct yo_span kid = yo_mp_as_str(yo_mp_map_get(header, "kid"));
    enum yo_jwt_algorithm algorithm =
        yo_jwt_algorithm_of(yo_mp_as_str(yo_mp_map_get(header, "alg")));
    int rv;

    if (algorithm == YO_JWT_UNKNOWN) { /* `none` is one of those */
        return refuse(why,
                      "the token's algorithm is none of HS256, RS256, ES256, EdDSA");
    }
    if (yo_mp_map_get(header, "crit")
            .data) { /* RFC 7515 4.1.11: we know none of them */
        return refuse(why, "the token has critical headers");
    }
    rv = decode_part(work, part);
    if (rv == YOMO_OK) {
        rv = yo_auth_keys_verify(keys, algorithm, kid, bytes, yo_buf_span(work));
    }
    if (rv == YOMO_ERR_NOT_FOUND) {
        return refuse(why, "there is no key for the token's algorithm and `kid`");
    }
    return rv == YOMO_OK || rv == YOMO_ERR_NOMEM
               ? rv
               : refuse(why, "the token's signature is wrong");
}

static struct yo_span until_dot(struct yo_span text)
{
    const uint8_t *dot = text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
    return dot ? yo_span(text.data, (size_t)(dot - text.data)) : YO_SPAN_NONE;
}

int yo_jwt_verify(struct yo_buf *claims, const struct yo_auth_keys *keys,
                  const struct yo_jwt_rules *rules, struct yo_span token,
                  uint64_t now_s, const char **why)
{
    struct yo_span header = until_dot(token);
    struct yo_span rest = yo_span_skip(token, header.size + 1);
    struct yo_span payload = header.data ? until_dot(rest) : YO_SPAN_NONE;
    struct yo_span signature = yo_span_skip(rest, payload.size + 1);
    struct yo_buf head, work;
    int rv;

    yo_buf_clear(claims);
    *why = "";
    if (token.size > YO_TOKEN_SIZE_MAX) {
        return refuse(why, "the token is longer than 8192 bytes");
    }
    if (!payload.data || signature.size == 0 ||
        memchr(signature.data, '.', signature.size)) {
        return refuse(why, "it is not a JSON Web Token (three parts between dots)");
    }
    yo_buf_init(&head, claims->mem);
    yo_buf_init(&work, claims->mem);
    rv = read_part(&head, header);
    if (rv == YOMO_OK) {
        rv = check_signature(yo_buf_span(&head), keys,
                             yo_span(token.data, header.size + 1 + payload.size),
                             signature, &work, why);
    } else if (rv == YOMO_ERR_INVALID) {
        rv = refuse(why, "the token's header is broken");
    }
    if (rv == YOMO_OK) {
        rv = read_part(claims, payload);
        rv = rv == YOMO_ERR_INVALID ? refuse(why, "the token's claims are broken") : rv;
    }
    if (rv == YOMO_OK) {
        rv = check_claims(yo_buf_span(claims), rules, now_s, why);
    }
    if (rv != YOMO_OK) {
        yo_buf_clear(claims);
    }
    yo_buf_finish(&head);
    yo_buf_finish(&work);
    return rv;
}
