/* SPDX-License-Identifier: MIT */
/* test_events.c - what the world outside is told of rooms: each once, in order, why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "rig.h"
#include "server/events.h"

#define WS YOMO_TRANSPORT_WEBSOCKET

struct story {
    char text[2000];
    struct yo_event_door door;
};

static void on_event(void *user, const struct yo_event *event, yo_time now)
{
    static const char *const words[] = {"+", "-", "open", "close"};
    struct story *story = user;
    size_t size = strlen(story->text);

    (void)now;
    assert_true(yo_span_is(event->app, YO_APP_DEFAULT) && event->at_ms != 0);
    assert_true((event->session != 0) == (event->kind <= YO_EVENT_LEFT));
    (void)snprintf(story->text + size, sizeof(story->text) - size, "%.*s:%s%.*s%s%s ",
                   (int)event->room.size, (const char *)event->room.data,
                   words[event->kind], (int)event->id.size,
                   event->id.data ? (const char *)event->id.data : "",
                   event->reason ? "=" : "", event->reason ? event->reason : "");
}

static void open_rig(struct rig *rig, struct story *story, const char *linger)
{
    rig_open(rig, 2, NULL, "room-linger", linger, "grace-time", "40ms", NULL);
    memset(story, 0, sizeof(*story));
    story->door = (struct yo_event_door){on_event, story, YO_EVENTS_ALL};
    for (uint32_t i = 0; i < 2; i++) {
        rig_worker(rig, i)->home.events = &story->door;
    }
}

static struct client *come(struct rig *rig, uint32_t worker, const char *id)
{
    char query[64];

    (void)snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    return rig_connect(rig, worker, WS, query);
}

static void tells(struct story *story, const char *text)
{
    assert_string_equal(story->text, text);
    story->text[0] = '\0';
}

static void coming_and_going(void **unused)
{
    struct rig rig;
    struct story story;
    struct client *a, *b;

    (void)unused;
    open_rig(&rig, &story, "0");
    a = come(&rig, 0, "a");
    b = come(&rig, 1, "b");
    client_join(a, "r", NULL);
    client_join(b, "r", NULL);
    client_join(a, "r", NULL); /* it is there already */
    tells(&story, "r:open r:+a r:+b ");
    client_leave(a, "r");
    client_leave(a, "r");
    client_leave(a, "nowhere");
    tells(&story, "r:-a=left ");
    client_close(b);
    tells(&story, "r:-b=left r:close=empty ");
    client_join(a, "r", NULL);
    tells(&story, "r:open r:+a ");
    rig_close(&rig);
    assert_non_null(strstr(story.text, "r:-a="));
}

static void a_room_that_lingers_is_open(void **unused)
{
    struct rig rig;
    struct story story;
    struct client *a;

    (void)unused;
    open_rig(&rig, &story, "1h");
    a = come(&rig, 0, "a");
    client_join(a, "r", NULL);
    client_leave(a, "r");
    client_join(a, "r", NULL);
    client_leave(a, "r");
    tells(&story, "r:open r:+a r:-a=left r:+a r:-a=left ");
    rig_close(&rig);
    tells(&story, "r:close=draining ");
}

static void observers_open_rooms_and_are_not_told_of(void **unused)
{
    const struct yo_message join = {
        .op = YO_OP_CHANNEL_JOIN, .channel = yo_span_of("r"), .observe = true};
    struct rig rig;
    struct story story;
    struct client *o;

    (void)unused;
    open_rig(&rig, &story, "0");
    o = come(&rig, 0, "o");
    client_send(o, &join);
    tells(&story, "r:open ");
    client_leave(o, "r");
    tells(&story, "r:close=empty ");
    rig_close(&rig);
}

static void who_breaks_off_is_lost_after_the_grace_time(void **unused)
{
    struct rig rig;
    struct story story;
    struct client *a, *page;
    time_t end = time(NULL) + 10;

    (void)unused;
    open_rig(&rig, &story, "0");
    a = come(&rig, 1, "a");
    page = rig_connect(&rig, 0, WS, "id=page");
    client_join(a, "r", NULL);
    client_join(page, "r", NULL);
    tells(&story, "r:open r:+a r:+page ");
    client_break(page); /* it has no seat that is kept */
    tells(&story, "r:-page=lost ");
    client_break(a);
    while (!story.text[0]) {
        assert_true(time(NULL) < end);
        rig_settle(&rig);
    }
    tells(&story, "r:-a=lost r:close=empty ");
    rig_close(&rig);
}

static void a_server_that_ends_says_so(void **unused)
{
    struct rig rig;
    struct story story;
    struct client *a;

    (void)unused;
    open_rig(&rig, &story, "0");
    a = come(&rig, 0, "a");
    client_join(a, "r", NULL);
    story.text[0] = '\0';
    rig_close(&rig);
    tells(&story, "r:-a=draining r:close=empty ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coming_and_going),
        cmocka_unit_test(a_room_that_lingers_is_open),
        cmocka_unit_test(observers_open_rooms_and_are_not_told_of),
        cmocka_unit_test(who_breaks_off_is_lost_after_the_grace_time),
        cmocka_unit_test(a_server_that_ends_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
