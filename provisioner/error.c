/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "error.h"

G_DEFINE_QUARK(hostbed, hb_error)

HbStatus
hb_error_status(const GError *error)
{
    if (!error)
        return HB_OK;
    return error->domain == HB_ERROR ? (HbStatus)error->code : HB_INFRASTRUCTURE;
}
