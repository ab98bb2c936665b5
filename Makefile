# ocppd. `make run` and `make check` are the two commands of the README;
# `make help` lists the others.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
B       ?= build
# The version is defined only in common/version.h.
VERSION := $(shell sed -n 's/.*OCPPD_VERSION "\(.*\)"/\1/p' common/version.h)
OPT     ?= -O2 -g
SAN     ?=

# The OCPP versions, oldest first. A version has one schema, or a folder of
# schemas, in which types.schema is the first.
DIALECTS = ocpp16 ocpp201 ocpp21
schema = $(wildcard worker/ocpp/$(1).schema worker/ocpp/$(1)/types.schema) \
    $(filter-out %/types.schema,$(sort $(wildcard worker/ocpp/$(1)/*.schema)))
SCHEMA = $(foreach d,$(DIALECTS),$(call schema,$(d)))

WARN   = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
HARDEN = -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
# .incbin searches the folder of the source file, whatever the working
# directory is, and the folder of files that are made from the schema.
CPPFLAGS += -Wa$(comma)-I$(<D) -Wa$(comma)-I$(B)/gen
CFLAGS += -std=gnu11 $(OPT) $(WARN) $(if $(SAN),$(SAN),$(HARDEN)) -MMD -MP
CPPFLAGS += -D_GNU_SOURCE -I. $(INC_$(firstword $(subst /, ,$*))) -Icommon -I$(B)/gen
# Folders of quoted includes: a process sees only its own folders.
INC_master = -Imaster
INC_worker = -Iworker
INC_test   = -Iworker -Imaster
INC_gen    = -Iworker
$(foreach d,$(DIALECTS),$(eval INC_$(d) = -Iworker))
LDFLAGS += $(if $(SAN),$(SAN),-pie -Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now) -pthread
comma := ,
# Each command is printed as one short line; with V=1 it is printed completely.
SAY = $(if $(V),,@echo "  $@";)

COMMON_O = $(patsubst %.c,$(B)/%.o,$(wildcard common/*.c))
COMMON  = $(B)/libcommon.a
MASTER  = $(patsubst %.c,$(B)/%.o,$(filter-out master/ctl/%,$(wildcard master/*.c master/*/*.c)))
CTL     = $(patsubst %.c,$(B)/%.o,$(wildcard master/ctl/*.c))
WORKER  = $(patsubst %.c,$(B)/%.o,$(wildcard worker/*.c worker/*/*.c)) $(DIALECTS:%=$(B)/gen/%.o)
SIM     = $(patsubst %.c,$(B)/%.o,$(wildcard test/sim/*.c))
# The simulator uses the record layer of the gateway for TLS.
SIM_TLS = $(patsubst %,$(B)/worker/net/%.o,aead deflate record record_keys record_slab tls_client tls_context tls_explain tls_handshake tls_name tls_pem tls_tickets)
UNIT    = $(patsubst test/unit/%.c,$(B)/unit/%,$(wildcard test/unit/*_test.c))
FUZZ    = $(patsubst test/fuzz/%.c,$(B)/fuzz/%,$(wildcard test/fuzz/*_fuzz.c))
MAN     = $(addprefix $(B)/man/,ocppd.8 ocppctl.8 ocppd.conf.5 ocppd-events.7 ocppd-http.7 ocppd-stats.7 ocppd-redis.7 ocppsim.1)

# Each library is used by one file, so only the program with that file is
# linked with it.
LIBS_OCPPD = -lev -lwslay -lz -lhiredis -linih -lmicrohttpd -lgnutls -lseccomp -lssl -lcrypto -lm
LIBS_CTL   = -linih -lcjson -lm
LIBS_SIM   = -lev -lwslay -lz -lcjson -linih -lssl -lcrypto -lm

# For /usr/share/ocppd: the JSON Schema of events.
EVENT_SCHEMA = $(B)/ocppd-events.schema.json

# For /usr/share/bash-completion/completions and zsh/vendor-completions.
COMPLETION = $(B)/completion/ocppctl $(B)/completion/_ocppctl

all: $(B)/ocppd $(B)/ocppctl $(B)/ocppsim man $(COMPLETION) $(EVENT_SCHEMA)

$(EVENT_SCHEMA): $(B)/ocppd
	$(SAY) $< -x schema > $@.tmp && mv $@.tmp $@

$(B)/completion/%: $(B)/ocppctl
	@mkdir -p $(@D)
	$(SAY) $< completion $(if $(filter _%,$*),zsh,bash) > $@.tmp && mv $@.tmp $@

$(B)/ocppd: $(MASTER) $(WORKER) $(COMMON)
	$(SAY) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS_OCPPD)
$(B)/ocppctl: $(CTL) $(COMMON)
	$(SAY) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS_CTL)
$(B)/ocppsim: $(SIM) $(SIM_TLS) $(COMMON)
	$(SAY) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SIM)
$(B)/echo: $(B)/test/echo/echo.o $(addprefix $(B)/worker/net/,http.o http_identity.o ws.o ws_pool.o frame.o deflate.o) $(COMMON)
	$(SAY) $(CC) $(LDFLAGS) -o $@ $^ -lev -lwslay -lz -linih -lcrypto -lm

# An archive, from which each program takes the parts of common/ that it uses.
$(B)/libcommon.a: $(COMMON_O)
	@rm -f $@
	$(SAY) ar qcs $@ $^

# The tables of OCPP, made from the schema.
GEN = $(B)/gen/ocpp_actions.def $(B)/gen/ocpp_answers.def $(B)/gen/ocpp_secrets.def \
	$(B)/gen/ocpp_dialects.def
$(B)/gen/ocpp_%.def: $(SCHEMA) scripts/schema.awk
	@mkdir -p $(@D)
	$(SAY) awk -f scripts/schema.awk -v out=$* $(SCHEMA) > $@.tmp && mv $@.tmp $@
$(B)/gen/ocpp_answers.lua: $(SCHEMA) scripts/schema.awk
	@mkdir -p $(@D)
	$(SAY) awk -f scripts/schema.awk -v out=lua $(SCHEMA) > $@.tmp && mv $@.tmp $@
$(DIALECTS:%=$(B)/gen/%.c): $(B)/gen/%.c: $(SCHEMA) scripts/schema.awk
	@mkdir -p $(@D)
	$(SAY) awk -f scripts/schema.awk -v out=tables $(call schema,$*) > $@.tmp && mv $@.tmp $@
$(B)/gen/%.o: $(B)/gen/%.c $(GEN)
	$(SAY) $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/master/admin/http.o $(B)/fuzzobj/master/admin/http.o: $(wildcard master/admin/page/*)
$(B)/worker/fleet/functions.o: worker/fleet/ocppd.lua worker/fleet/ocppd_gateway.lua $(B)/gen/ocpp_answers.lua
$(B)/%.o: %.c $(GEN)
	@mkdir -p $(@D)
	$(SAY) $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# --- manual pages: the tables in them are printed by the daemon ----------------

# The footer of each page has the version.
man: $(MAN)
$(B)/man/%: man/% common/version.h
	@mkdir -p $(@D)
	$(SAY) sed 's/^\.Os$$/.Os ocppd $(VERSION)/' $< > $@
$(B)/man/%: man/%.in $(B)/ocppd
	@mkdir -p $(@D)
	@awk -v ocppd=$(B)/ocppd -v version=$(VERSION) '/^\.Os$$/ { print ".Os ocppd " version; next } /^@[A-Z]+@$$/ { t = tolower(substr($$0, 2, length($$0) - 2)); \
	    if (system(ocppd " -x " t)) exit 1; next } { print; fflush() }' $< > $@.tmp && mv $@.tmp $@
	@echo "  $@"

# --- run, check ----------------------------------------------------------------

deps:
	@scripts/deps build

# A separate make builds with one compiler per core, unless make was given -j.
BUILD = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# Packages are installed first, by a separate make, because the build reads
# their headers.
run:
	@scripts/deps build
	@$(BUILD) all
	@mkdir -p run
	@echo
	@echo '  charge points connect to   ws://127.0.0.1:8080/ocpp/<identity>'
	@echo '  a simulated one:           $(B)/ocppsim -n 1 --duration 60s'
	@echo '  its state:                 $(B)/ocppctl -s run/control.sock status'
	@echo '  its events:                $(B)/ocppctl -s run/control.sock events --follow'
	@echo '  monitoring:                http://127.0.0.1:9180/health and /metrics'
	@echo '  stop it:                   Ctrl-C'
	@echo
	@exec $(B)/ocppd -c conf/development.conf

# The same with a TLS listener as well: security profiles 2 and 3, with
# certificates of a test authority.
run-tls:
	@scripts/deps build
	@$(BUILD) all
	@scripts/test-ca run/tls
	@echo
	@echo '  profile 2 (TLS):           $(B)/ocppsim -n 1 -u wss://127.0.0.1:8443/ocpp --tls-ca run/tls/ca.pem --duration 60s'
	@echo '  profile 3 (certificate):   $(B)/ocppsim -n 1 -i CP1 -u wss://127.0.0.1:8443/ocpp --tls-ca run/tls/ca.pem \'
	@echo '                                 --tls-certificate run/tls/CP1.pem --tls-key run/tls/CP1.key --duration 60s'
	@echo '  certificates, failures:    $(B)/ocppctl -s run/control.sock tls'
	@echo '  stop it:                   Ctrl-C'
	@echo
	@exec $(B)/ocppd -c conf/development.conf -o server.listen_tls=127.0.0.1:8443 \
	    -o 'tls.certificate=run/tls/ecdsa.pem run/tls/rsa.pem' -o 'tls.key=run/tls/ecdsa.key run/tls/rsa.key' \
	    -o tls.client=optional -o tls.client_ca=run/tls/ca.pem

# 1,000 charge points of all OCPP versions that charge, and ocppctl top.
demo:
	@scripts/deps build
	@$(BUILD) all
	@B=$(B) test/demo

check:
	@scripts/deps test
	@$(BUILD) all check-programs
	@B=$(B) test/run

# The same tests with the address and undefined-behaviour sanitizers.
check-asan:
	@scripts/deps test
	@$(BUILD) B=$(B)/asan OPT='-O1 -g' \
	    SAN='-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined' all check-programs
	@B=$(B)/asan OCPPD_TEST_SLOW=3 test/run

# The status page in a browser; OCPPD_TEST_SHOTS names a directory for
# screenshots.
check-browser:
	@scripts/deps browser || echo "the browser is missing: its tests are skipped"
	@$(BUILD) all
	@B=$(B) OCPPD_TEST_SLOW=2 /usr/bin/python3 test/browser/status.py

# Checks the alert rules by promtool. Not a part of `make check`, because
# Debian's package of promtool starts a Prometheus.
check-monitoring:
	@scripts/deps monitoring
	@$(BUILD) all
	@B=$(B) test/run monitoring

# Checks the models of test/model by spin: completely, and each with the
# mistakes that it must find. Takes minutes.
check-model:
	@scripts/deps model
	@test/model/run

# Runs a sample of the tests under valgrind, with the normal build. The sample
# does not have sandbox and the limit of descriptors in workers, because valgrind
# itself uses memory, descriptors and system calls; nor tests that measure time,
# nor long tests.
VALGRIND = valgrind -q --vgdb=no --trace-children=yes --error-exitcode=99 \
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
VALGRIND_SAMPLE = $(filter-out sandbox_test,$(notdir $(UNIT))) handshake websocket \
    rpc payloads transactions commands events takeover auth limits proxyproto \
    admin operators redis_lib reload disk
check-valgrind:
	@scripts/deps valgrind
	@$(BUILD) all check-programs
	@B=$(B) OCPPD_TEST_SLOW=5 OCPPD_TEST_VALGRIND='$(VALGRIND)' test/run $(VALGRIND_SAMPLE)

check-programs: $(UNIT) $(FUZZ) $(B)/echo $(B)/fault_shim.so $(B)/nonce_shim.so $(B)/scribble $(B)/other/ocppd

OTHER_FORMAT = -DUPGRADE_FORMAT="(getenv(\"OCPPD_TEST_FORMAT\")?2:1)"
# The program as if it was another version: with other structs in shared
# memory, and, with OCPPD_TEST_FORMAT in its environment, a newer format of the
# hand-over.
$(B)/other/ocppd: $(B)/ocppd
	@CPPFLAGS='-DSHM_OTHER_LAYOUT="uint64_t other[5];" $(OTHER_FORMAT)' \
	    $(MAKE) --no-print-directory B=$(B)/other OPT=-O0 HARDEN=-fPIE $@

# Writes stray values into the shared memory of a running gateway.
$(B)/scribble: $(B)/test/scribble.o $(COMMON)
	$(SAY) $(CC) $(LDFLAGS) -o $@ $^ -linih -lm

# Libraries for LD_PRELOAD: faults on demand, and a record of nonces. They are
# never instrumented, because they are loaded first.
$(B)/nonce_shim.so: test/nonce_spy.h
$(B)/%_shim.so: test/%_shim.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) -fPIC -shared -o $@ $< -ldl

# A unit test is linked with every object except those of the two main().
UNITLIB = $(filter-out $(B)/master/main.o,$(MASTER)) $(WORKER) $(COMMON_O)
$(B)/unit/%: $(B)/test/unit/%.o $(B)/unit/libocppd.a
	@mkdir -p $(@D)
	$(SAY) $(CC) $(LDFLAGS) -o $@ $^ $(LIBS_OCPPD) -lcjson
$(B)/unit/libocppd.a: $(UNITLIB)
	@mkdir -p $(@D)
	@rm -f $@
	$(SAY) ar qcs $@ $^

# Fuzzers are built completely by clang with sanitizers, apart from the rest.
FUZZFLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
$(B)/fuzz/%: $(B)/fuzzobj/test/fuzz/%.o $(B)/fuzzobj/libocppd.a
	@mkdir -p $(@D)
	$(SAY) clang -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS_OCPPD) -lcjson -pthread
$(B)/fuzzobj/%.o: %.c $(GEN)
	@mkdir -p $(@D)
	$(SAY) clang -std=gnu11 -w $(FUZZFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(B)/fuzzobj/%.o: $(B)/%.c $(GEN)
	@mkdir -p $(@D)
	$(SAY) clang -std=gnu11 -w $(FUZZFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(B)/fuzzobj/libocppd.a: $(patsubst $(B)/%.o,$(B)/fuzzobj/%.o,$(UNITLIB))
	@rm -f $@
	$(SAY) ar qcs $@ $^

# Faults in random order, for SOAK_MINUTES; the seed is printed.
SOAK_MINUTES ?= 120
soak: all $(B)/fault_shim.so $(B)/scribble
	B=$(B) test/faults.py --minutes $(SOAK_MINUTES) $(if $(SEED),--seed $(SEED))
	B=$(B) OCPPD_TEST_LONG=1 $(if $(SEED),OCPPD_TEST_SEED=$(SEED)) test/redis_story.py
	B=$(B) OCPPD_TEST_LONG=1 test/answers.py $(if $(SEED),--seed $(SEED)) whatever_fails

# Static analysis. All of it must be silent. Where a check is switched off, the
# reason is given: here, in .clang-tidy, or beside the line. Other versions of
# the analyzers find other things; the tree is clean with those of Debian 12.
lint:
	@scripts/deps lint
	@$(MAKE) --no-print-directory format cppcheck $(LINTED)

# Versions of clang-format differ in details; that of Debian 12 is used.
format:
	$(SAY) clang-format-14 --dry-run -Werror $$(git ls-files '*.[ch]')

# missingIncludeSystem: cppcheck does not read the headers of libraries.
cppcheck: $(GEN)
	$(SAY) cppcheck --std=c11 --enable=warning,portability,performance --inline-suppr \
	    --quiet --error-exitcode=1 --suppress=missingIncludeSystem \
	    -D_GNU_SOURCE -I. -Icommon -Iworker -Imaster -I$(B)/gen $(sort $(dir $(LINT)))

# One process for each file, because in a second file clang-tidy 14 takes every
# va_list for one that was not started. The compiler's analyzer runs without
# its search for leaks, because it does not follow what is stored in a table;
# the sanitizers and valgrind find leaks.
LINT = $(wildcard common/*.c master/*.c master/*/*.c worker/*.c worker/*/*.c test/sim/*.c)
LINTED = $(LINT:%.c=$(B)/lint/%.ok)
LINTFLAGS = -std=gnu11 $(CPPFLAGS)
# The files that .incbin includes.
$(B)/lint/worker/fleet/functions.ok: $(B)/gen/ocpp_answers.lua
$(B)/lint/%.ok: %.c $(GEN) .clang-tidy
	@mkdir -p $(@D)
	$(SAY) clang-tidy --quiet $< -- $(LINTFLAGS)
	@$(CC) -fanalyzer -Wno-analyzer-malloc-leak -Werror -O1 $(LINTFLAGS) \
	    -MMD -MP -MT $@ -MF $(@:.ok=.d) -c -o /dev/null $<
	@touch $@

# Runs all fuzzers, in an hour; FUZZ_SECONDS is the time of each.
FUZZ_SECONDS ?= 600
fuzz: $(FUZZ)
	test/fuzz/run $(FUZZ_SECONDS) $(FUZZ)

bench: all $(B)/floor $(B)/load $(B)/accept
	B=$(B) test/bench/run $(ROWS)
# Instructions per message, compared with another build: BASE=build directory.
bench-instructions: all
	@scripts/deps valgrind
	test/bench/instructions.py $(BASE) $(abspath $(B))
# Messages of OCPP 2.x compared with those of 1.6, and compressed ones with
# plain ones.
bench-versions: all
	B=$(B) test/bench/versions.py
# Needs 20 GiB of memory and some minutes.
bench-million: all $(B)/floor $(B)/load
	B=$(B) test/bench/run million
$(B)/floor $(B)/load: $(B)/%: test/bench/%.c
	$(SAY) $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -o $@ $<
$(B)/accept: test/bench/accept.c
	$(SAY) $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -o $@ $< -lssl -lcrypto

# --- install --------------------------------------------------------------------

SBIN = $(DESTDIR)$(PREFIX)/sbin
BIN  = $(DESTDIR)$(PREFIX)/bin
SHARE_MAN = $(DESTDIR)$(PREFIX)/share/man
BASH_DIR  = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
# Debian's packages and what is installed by hand have different directories.
ZSH_DIR   = $(DESTDIR)$(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
DATA      = $(DESTDIR)$(PREFIX)/share/ocppd
UNIT_DIR  = $(DESTDIR)$(PREFIX)/lib/systemd/system
ETC  = $(DESTDIR)/etc
# The service files contain the paths of the installed programs.
SERVICE = sed 's|/usr/local/|$(PREFIX)/|g'
INSTALLED = $(SBIN)/ocppd $(BIN)/ocppctl $(BIN)/ocppsim \
    $(foreach m,$(MAN),$(SHARE_MAN)/man$(subst .,,$(suffix $m))/$(notdir $m)) \
    $(BASH_DIR)/ocppctl $(ZSH_DIR)/_ocppctl \
    $(DATA)/ocppd-events.schema.json \
    $(ETC)/init.d/ocppd $(ETC)/logrotate.d/ocppd $(UNIT_DIR)/ocppd.service

# On this machine (without DESTDIR, by root) the service can be started
# afterwards: its user exists and owns its directories. A package does that
# when it is installed. The configuration that is installed has no secret, so
# the service's user can read it; conf/ocppd.conf describes what to do before a
# password is written into it.
install: all
	install -d $(SBIN) $(BIN) $(addprefix $(SHARE_MAN)/man,1 5 7 8) $(UNIT_DIR) \
	    $(BASH_DIR) $(ZSH_DIR) $(DATA) $(ETC)/ocppd/conf.d $(ETC)/init.d $(ETC)/logrotate.d
	install -d -m 750 $(DESTDIR)/var/lib/ocppd $(DESTDIR)/var/log/ocppd
	install -m 755 $(B)/ocppd $(SBIN)
	install -m 755 $(B)/ocppctl $(B)/ocppsim $(BIN)
	for m in $(MAN); do install -m 644 $$m $(SHARE_MAN)/man$${m##*.}; done
	install -m 644 $(B)/completion/ocppctl $(BASH_DIR)
	install -m 644 $(B)/completion/_ocppctl $(ZSH_DIR)
	install -m 644 $(EVENT_SCHEMA) $(DATA)
	test -e $(ETC)/ocppd/ocppd.conf || install -m 644 conf/ocppd.conf $(ETC)/ocppd/ocppd.conf
	$(SERVICE) scripts/ocppd.init > $(ETC)/init.d/ocppd && chmod 755 $(ETC)/init.d/ocppd
	$(SERVICE) scripts/ocppd.service > $(UNIT_DIR)/ocppd.service
	install -m 644 scripts/ocppd.logrotate $(ETC)/logrotate.d/ocppd
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then \
	    id ocppd >/dev/null 2>&1 || useradd --system --user-group \
	        --home-dir /var/lib/ocppd --no-create-home --shell /usr/sbin/nologin ocppd; \
	    chown ocppd:ocppd /var/lib/ocppd /var/log/ocppd; \
	    ! [ -d /run/systemd/system ] || systemctl daemon-reload; \
	fi

# Files that are not in the list above stay: the configuration, the journal,
# the log, the service's user, and directories that other programs use, too.
uninstall:
	rm -f $(INSTALLED)
	! [ -d $(DATA) ] || rmdir --ignore-fail-on-non-empty $(DATA)
	@! [ -z "$(DESTDIR)" -a "$$(id -u)" = 0 -a -d /run/systemd/system ] || systemctl daemon-reload

# The source of the last commit, as an archive that builds.
dist:
	@mkdir -p $(B)
	git archive --prefix=ocppd-$(VERSION)/ -o $(B)/ocppd-$(VERSION).tar.gz HEAD
	@echo "  $(B)/ocppd-$(VERSION).tar.gz"

# Debian packages of the source as it is here, in $(B)/deb: ocppd and
# ocppd-dbgsym. DEB_VERSION may extend the version, such as 0.2.0+local1.
DEB_VERSION ?= $(VERSION)
DEB = $(B)/deb/ocppd-$(DEB_VERSION)
deb:
	@scripts/deps deb
	rm -rf $(B)/deb
	mkdir -p $(DEB)
	{ git ls-files -z 2>/dev/null || find . -path ./$(B) -prune -o -type f -print0; } | \
	    tar c --null --no-recursion -T - | tar x -C $(DEB)
	cp -r scripts/debian $(DEB)/debian
	scripts/debian-changelog $(DEB_VERSION) > $(DEB)/debian/changelog
	cd $(DEB) && MAKEFLAGS= MAKELEVEL= dpkg-buildpackage -b -us -uc $(DEB_FLAGS)
	@echo && ls $(B)/deb/*.deb

# Findings of lintian that are not errors are explained in
# scripts/debian/ocppd.lintian-overrides.
check-deb:
	@scripts/deps lintian
	@$(MAKE) --no-print-directory deb
	lintian --allow-root --fail-on error,warning $(B)/deb/*.changes

# Tests the package, make install and the init script in a booted Debian 12 and
# 13; test/booted/run lists its requirements.
SUITES ?= bookworm trixie
check-booted:
	@B=$(B) test/booted/run $(SUITES)

# Tests the container recipe, by buildah instead of an engine;
# test/container/run lists its requirements.
check-container:
	@B=$(B) test/container/run

clean:
	rm -rf $(B)

help:
	@echo 'make               build the programs and the manual pages in $(B)/'
	@echo 'make run           install missing packages, build, run the gateway here'
	@echo 'make run-tls       the same with TLS, and certificates of a test authority'
	@echo 'make check         install missing packages, build, run all tests'
	@echo 'make check-asan    the same tests with sanitizers'
	@echo 'make check-browser the status page in a browser'
	@echo 'make check-monitoring the alert rules of conf/prometheus by promtool'
	@echo 'make check-model   the models of hand-over and claims by spin'
	@echo 'make check-valgrind some of the tests under valgrind'
	@echo 'make soak          faults at random under load, SOAK_MINUTES (120), SEED'
	@echo 'make lint          clang-format, cppcheck, clang-tidy, gcc -fanalyzer'
	@echo 'make fuzz          all fuzzers, FUZZ_SECONDS each (600)'
	@echo 'make demo          1,000 simulated charge points, and ocppctl top'
	@echo 'make bench         measure CPU, latency, memory, storms, pings and growth'
	@echo 'make bench-instructions instructions per message, compared with the build BASE='
	@echo 'make bench-versions CPU of messages of OCPP 2.x and 1.6, and of compressed ones'
	@echo 'make bench-million a million connections on this machine'
	@echo 'make install       PREFIX=$(PREFIX) DESTDIR='
	@echo 'make uninstall     remove the installed files; configuration and journal stay'
	@echo 'make dist          the source of the last commit as $(B)/ocppd-VERSION.tar.gz'
	@echo 'make deb           Debian packages in $(B)/deb'
	@echo 'make check-deb     the same, and check them with lintian'
	@echo 'make check-booted  test package, make install and init script in booted Debian 12 and 13'
	@echo 'make check-container build and run the container with buildah'
	@echo 'make clean'

.PHONY: all clean man deps run run-tls demo bench-instructions bench-million bench-versions check check-asan check-browser check-model check-monitoring check-valgrind check-programs soak lint format cppcheck fuzz bench install uninstall dist deb check-deb check-booted check-container help
.SECONDARY:
-include $(shell find $(B) \( -path $(B)/deb -o -path $(B)/booted -o -path $(B)/container \) -prune -o -type f -name '*.d' -print 2>/dev/null)
