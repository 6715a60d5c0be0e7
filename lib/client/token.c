/* SPDX-License-Identifier: MIT */
/* token.c - a token that ends, and the one after it.
 *
 * The server says with hello for how long what it was shown holds. In time the program
 * is asked for another, which is shown to the server on the connection that stands;
 * what comes of that is answered, and the round begins anew. */
#include "base/check.h"
#include "base/text.h"
#include "client/inside.h"
#include "wire/limits.h"

#define ASK_AFTER(span) ((span) / 4 * 3) /* of the time that a token holds */

struct token_letter {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    char *token;
};

void yo_token_holds(struct yomo_client *client, uint64_t ms, yo_time now)
{
    client->token_until = client->token_ask_at = YO_NEVER;
    if (ms > 0 && ms < YO_NEVER / YO_MS / 2) {
        client->token_until = yo_time_after(now, ms * YO_MS);
        client->token_ask_at = yo_time_after(now, ASK_AFTER(ms * YO_MS));
        yo_client_wake(client);
    }
}

void yo_token_gone(struct yomo_client *client)
{
    client->token_until = client->token_ask_at = YO_NEVER;
}

static void ask(struct yomo_client *client, int error, yo_time now)
{
    uint64_t left = client->token_until > now ? (client->token_until - now) / YO_MS : 0;
    if (client->on.on_token) {
        client->on.on_token(client->user, client, left, error);
    }
}

void yo_token_answer(struct yomo_client *client, const struct yo_effect *effect,
                     yo_time now)
{
    if (effect->error == YOMO_OK) {
        yo_token_holds(client, effect->after_ms, now);
        return;
    }
    YO_LOG(&client->log, YOMO_LOG_WARN, "client",
           "the server refused the new token: %s", yomo_strerror(effect->error));
    ask(client, effect->error, now);
}

void yo_token_turn(struct yomo_client *client, yo_time now)
{
    if (client->token_ask_at <= now) {
        client->token_ask_at = YO_NEVER;
        ask(client, YOMO_OK, now);
    }
}

void yo_token_apply(struct yomo_client *client)
{
    if (client->fresh_token && yo_settings_set_token(&client->settings, client->options,
                                                     client->fresh_token) == YOMO_OK) {
        yo_free(&client->mem, client->fresh_token);
        client->fresh_token = NULL;
    }
}

/* --- From the program --- */

static void discard(struct yo_letter *letter)
{
    struct token_letter *token = YO_CONTAINER(letter, struct token_letter, letter);
    yo_free(token->mem, token->token);
    yo_free(token->mem, token);
}

static void open(struct yo_letter *letter, void *user, yo_time now)
{
    struct token_letter *token = YO_CONTAINER(letter, struct token_letter, letter);
    struct yomo_client *client = user;
    yo_free(&client->mem, client->fresh_token);
    client->fresh_token = token->token;
    token->token = NULL;
    discard(letter);
    if (client->phase == YO_PHASE_OPEN && client->extension && !client->dropped) {
        yo_effects_clear(&client->effects);
        int rv = yo_client_token(client->session, yo_span_of(client->fresh_token),
                                 &client->effects);
        if (rv == YOMO_OK) {
            yo_dispatch(client, now);
        } else {
            yo_link_drop(client, rv, "");
        }
    }
}

int32_t yomo_client_set_token(yomo_client *client, const char *token)
{
    struct yo_span text = yo_span_of(token);
    YO_REQUIRE(client && text.size > 0 && text.size <= YO_TOKEN_SIZE_MAX);
    YO_REQUIRE(yo_utf8_valid(text));
    struct token_letter *letter = yo_calloc(&client->mem, 1, sizeof(*letter));
    if (letter) {
        letter->mem = &client->mem;
        letter->letter = (struct yo_letter){.open = open, .discard = discard};
        letter->token = yo_strndup(&client->mem, token, text.size);
    }
    if (!letter || !letter->token) {
        yo_free(&client->mem, letter);
        return YOMO_ERR_NOMEM;
    }
    yo_client_lock(client);
    int rv = client->closing ? YOMO_ERR_CLOSED : YOMO_OK;
    if (rv == YOMO_OK) {
        yo_client_post(client, &letter->letter);
    }
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        discard(&letter->letter);
    }
    return rv;
}
