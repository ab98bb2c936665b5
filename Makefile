# ocppd. `make run` and `make check` are the two commands of the README;
# `make help` lists the rest.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
B       ?= build
OPT     ?= -O2 -g
SAN     ?=

WARN   = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
HARDEN = -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS += -std=gnu11 $(OPT) $(WARN) $(if $(SAN),$(SAN),$(HARDEN)) -MMD -MP
CPPFLAGS += -D_GNU_SOURCE -I. -Icommon -Iworker -I$(B)/gen
LDFLAGS += $(if $(SAN),$(SAN),-pie -Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now) -pthread
comma := ,

COMMON  = $(patsubst %.c,$(B)/%.o,$(wildcard common/*.c))
MASTER  = $(patsubst %.c,$(B)/%.o,$(filter-out master/ctl%.c,$(wildcard master/*.c)))
CTL     = $(patsubst %.c,$(B)/%.o,$(wildcard master/ctl*.c))
WORKER  = $(patsubst %.c,$(B)/%.o,$(wildcard worker/*.c)) $(B)/gen/ocpp16.o
SIM     = $(patsubst %.c,$(B)/%.o,$(wildcard test/sim/*.c))
UNIT    = $(patsubst test/unit/%.c,$(B)/unit/%,$(wildcard test/unit/*_test.c))
FUZZ    = $(patsubst test/fuzz/%.c,$(B)/fuzz/%,$(wildcard test/fuzz/*_fuzz.c))
MAN     = $(addprefix $(B)/man/,ocppd.8 ocppctl.8 ocppd.conf.5 ocppd-events.7 ocppd-stats.7 ocppsim.1)

# Each library has one door; only that file's program needs it.
LIBS_OCPPD = -lev -lwslay -linih -lmicrohttpd -lnettle -lm
LIBS_CTL   = -linih -lcjson -lm
LIBS_SIM   = -lev -lwslay -lcjson -linih -lm

all: $(B)/ocppd $(B)/ocppctl $(B)/ocppsim $(B)/echo man

$(B)/ocppd: $(MASTER) $(WORKER) $(COMMON)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_OCPPD)
$(B)/ocppctl: $(CTL) $(COMMON)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_CTL)
$(B)/ocppsim: $(SIM) $(COMMON)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SIM)
$(B)/echo: $(B)/test/echo/echo.o $(B)/worker/http.o $(B)/worker/http_who.o $(B)/worker/ws.o $(B)/worker/frame.o $(COMMON)
	$(CC) $(LDFLAGS) -o $@ $^ -lev -lwslay -lnettle -linih -lm

# The tables of OCPP, made from the schema.
GEN = $(B)/gen/ocpp_actions.def
$(B)/gen/ocpp16.c: worker/ocpp16.schema scripts/schema.awk
	@mkdir -p $(@D)
	awk -f scripts/schema.awk -v out=tables worker/ocpp16.schema > $@.tmp && mv $@.tmp $@
$(B)/gen/ocpp_actions.def: worker/ocpp16.schema scripts/schema.awk
	@mkdir -p $(@D)
	awk -f scripts/schema.awk -v out=actions worker/ocpp16.schema > $@.tmp && mv $@.tmp $@
$(B)/gen/%.o: $(B)/gen/%.c $(GEN)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/%.o: %.c $(GEN)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

clean:
	rm -rf $(B)

.PHONY: all clean man
-include $(shell find $(B) -name '*.d' 2>/dev/null)
