/* SPDX-License-Identifier: MIT */
/* list.h - an intrusive doubly linked ring.
 *
 * The head is a link of its own. A link that is in no list points to itself, so that
 * removing it twice is harmless; zeroed memory is not a valid link. */
#ifndef YO_BASE_LIST_H
#define YO_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct yo_link {
    struct yo_link *next, *prev;
};

static inline void yo_list_init(struct yo_link *link)
{
    link->next = link->prev = link;
}

static inline bool yo_list_empty(const struct yo_link *head)
{
    return head->next == head;
}

static inline void yo_list_push_back(struct yo_link *head, struct yo_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void yo_list_push_front(struct yo_link *head, struct yo_link *link)
{
    yo_list_push_back(head->next, link);
}

/* Take `link` out of whatever list it is in; it is then a list of its own. */
static inline void yo_list_remove(struct yo_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    yo_list_init(link);
}

static inline struct yo_link *yo_list_pop_front(struct yo_link *head)
{
    struct yo_link *link = head->next;
    if (link == head) {
        return NULL;
    }
    yo_list_remove(link);
    return link;
}

/* Move all links of `from` to the end of `to`; `from` is then empty. */
static inline void yo_list_splice(struct yo_link *to, struct yo_link *from)
{
    if (yo_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    yo_list_init(from);
}

/* Walk a list; `next` is read before the body, which may remove `link`. */
#define YO_LIST_EACH(link, next_link, head)                                              \
    for (struct yo_link *link = (head)->next, *next_link = link->next; link != (head);   \
         link = next_link, next_link = link->next)

#endif
