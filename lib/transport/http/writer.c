/* SPDX-License-Identifier: MIT */
#include "transport/http/writer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <yomo/error.h>

#include "base/text.h"

const char *yo_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return status < 400 ? "OK" : "Error";
}

void yo_http_date(char out[30], uint64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t wall = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&wall, &tm)) {
        memset(&tm, 0, sizeof(tm));
    }
    /* By hand: strftime would follow the host's locale. */
    snprintf(out, 30, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
             (unsigned)tm.tm_mday % 100u, months + 3 * tm.tm_mon,
             (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u,
             (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
}

static bool clean(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' && *text != '\t') {
            return false;
        }
    }
    return true;
}

int yo_http_headers_write(struct yo_buf *out, const char *const *headers)
{
    int rv = YOMO_OK;
    for (; headers && headers[0] && headers[1] && rv == YOMO_OK; headers += 2) {
        if (clean(headers[0]) && clean(headers[1])) {
            rv = yo_buf_printf(out, "%s: %s\r\n", headers[0], headers[1]);
        }
    }
    return rv;
}

int yo_http_answer_write(struct yo_buf *out, const struct yo_http_answer *answer)
{
    size_t start = out->size;
    char date[30];
    bool bodiless = answer->status == 204 || answer->status == 304;
    yo_http_date(date, answer->wall_ms);
    int rv = yo_buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", answer->status,
                           yo_http_reason(answer->status), date);
    if (rv == YOMO_OK && !bodiless) {
        rv = yo_buf_printf(out, "Content-Length: %zu\r\n", answer->body.size);
    }
    if (rv == YOMO_OK && !answer->keep_alive) {
        rv = yo_buf_append_text(out, "Connection: close\r\n");
    }
    if (rv == YOMO_OK) {
        rv = yo_http_headers_write(out, answer->headers);
    }
    if (rv == YOMO_OK) {
        rv = yo_buf_append_text(out, "\r\n");
    }
    if (rv == YOMO_OK && !bodiless && !answer->head_only) {
        rv = yo_buf_append_span(out, answer->body);
    }
    if (rv != YOMO_OK) {
        out->size = start;
    }
    return rv;
}

static bool is_ip4_loopback(struct yo_span host)
{
    unsigned parts = 0;
    struct yo_span rest = host;
    while (parts < 4) {
        const uint8_t *dot = rest.size ? memchr(rest.data, '.', rest.size) : NULL;
        size_t size = dot ? (size_t)(dot - rest.data) : rest.size;
        uint64_t number;
        if (size > 3 || yo_parse_u64(yo_span(rest.data, size), &number) != YOMO_OK ||
            number > 255 || (parts == 0 && number != 127)) {
            return false;
        }
        parts++;
        if (!dot) {
            return parts == 4;
        }
        rest = yo_span_skip(rest, size + 1);
    }
    return false;
}

bool yo_http_host_loopback(struct yo_span host)
{
    uint64_t port;
    if (host.size > 0 && host.data[0] == '[') {
        const uint8_t *end = memchr(host.data, ']', host.size);
        if (!end ||
            !yo_span_is(yo_span(host.data, (size_t)(end + 1 - host.data)), "[::1]")) {
            return false;
        }
        host = yo_span_skip(host, (size_t)(end + 1 - host.data));
        return host.size == 0 ||
               (host.data[0] == ':' &&
                yo_parse_u64(yo_span_skip(host, 1), &port) == YOMO_OK);
    }
    const uint8_t *colon = host.size ? memchr(host.data, ':', host.size) : NULL;
    if (colon) {
        size_t size = (size_t)(colon - host.data);
        if (yo_parse_u64(yo_span_skip(host, size + 1), &port) != YOMO_OK) {
            return false;
        }
        host.size = size;
    }
    static const char name[] = "localhost", below[] = ".localhost";
    if (yo_span_equal_nocase(host, yo_span_of(name)) || is_ip4_loopback(host)) {
        return true;
    }
    size_t tail = sizeof(below) - 1;
    return host.size > tail &&
           yo_span_equal_nocase(yo_span_skip(host, host.size - tail),
                                yo_span_of(below));
}
