/* dialect: the OCPP versions there is code for. See dialect.h. */
#include "ocpp/dialect.h"

#include "base/self.h"

const char *const                  protocol_names[PROTOCOLS] = {"ocpp1.6"};
const struct schema_dialect *const protocol_dialects[PROTOCOLS] = {
    &schema_ocpp16};

enum ocppj_mode
protocol_mode(void)
{
    return self.conf.ocpp_validation == CONF_ocpp_validation_strict
        ? OCPPJ_STRICT
        : OCPPJ_LENIENT;
}
