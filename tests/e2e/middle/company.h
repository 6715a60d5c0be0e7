/* SPDX-License-Identifier: MIT */
/* company.h - two guests who talk all the time: "a", to whom things happen, and "b",
 * who must not notice. */
#ifndef TESTS_E2E_MIDDLE_COMPANY_H
#define TESTS_E2E_MIDDLE_COMPANY_H

#include "guest.h"

/* b joins, then a; both were begun. */
void company_join(struct guest guests[2]);
/* Each says the next number, now and then. */
void company_talk(struct guest guests[2]);
/* So many more each. */
void company_talk_more(struct guest guests[2], long count);
/* Everything has arrived, once, in order; nobody came, went or waited; a was told OPEN
 * `opens` times. */
void company_unmoved(struct guest guests[2], int opens);

#define COMPANY_UNTIL(guests, condition) \
    GUESTS_UNTIL(guests, 2, (company_talk(guests), (condition)))

#endif
