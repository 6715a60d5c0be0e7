/* SPDX-License-Identifier: MIT */
#ifndef YOMO_H
#define YOMO_H

/** @file yomo.h
 * Everything: include this one, or only what you need. */

#include <yomo/admin.h>
#include <yomo/client.h>
#include <yomo/error.h>
#include <yomo/host.h>
#include <yomo/options.h>
#include <yomo/request.h>
#include <yomo/server.h>
#include <yomo/transport.h>
#include <yomo/types.h>
#include <yomo/version.h>
#include <yomo/webtransport.h>

#endif
