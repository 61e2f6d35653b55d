# lifeboat. Needs gcc or clang, and the -dev packages scripts/bootstrap names.
#   make check                  everything that proves this tree, as the CI runs it
#   make bench                  what each command costs here, beside SQLite's least and peers
#   make growth                 how that grows up to 5 million events; draws doc/growth.svg
#   make BUILD=build-x SAN=...  another build beside the usual one
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
BUILD  ?= build
WARN    = -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion
VERSION = 0.1.0

# A wall clock older than the sources is plainly wrong (design: time).
BUILD_TIME := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1767225600)

cppflags = -D_GNU_SOURCE -Ilib -Icmd -I$(BUILD)/gen -DLIFEBOAT_VERSION='"$(VERSION)"' \
	-DLIFEBOAT_SHARE='"$(PREFIX)/share/lifeboat"' $(CPPFLAGS)
cflags   = $(WARN) $(CFLAGS) $(SAN)
ldflags  = $(SAN) -Wl,--as-needed $(LDFLAGS)
LDLIBS = -lsqlite3 -luuid -lxxhash -l:libcrypto.a

CGI  := lifeboat.cgi
LIB  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*/*.c))
CMDS := $(patsubst cmd/%.c,%,$(wildcard cmd/*.c))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c))
TOOL := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(wildcard tests/tools/*.c))
PAGES := $(wildcard man/*.[1-8])

# What is installed, as paths below PREFIX. Scripts that people call are beside the
# commands; those that units call are not.
SCRIPTS := $(patsubst scripts/%,bin/%,$(wildcard scripts/lifeboat-* scripts/cloud-sync scripts/mirror-watch \
	scripts/table-to-events))
SHARE := $(addprefix share/lifeboat/,$(notdir $(wildcard scripts/dpkg-events scripts/serve)))
CONF  := $(patsubst lib/config/%,share/lifeboat/%,$(wildcard lib/config/*.json))
HUB   := $(patsubst lib/%,share/lifeboat/%,$(wildcard lib/hub/*.sql))
# What scripts have in common; sourced.
SOURCED := $(patsubst scripts/%,share/lifeboat/%,$(wildcard scripts/*.bash))
HTTPD := $(addprefix share/lifeboat/,lighttpd.conf logrotate.conf alerts.yml)
HOOKS := $(patsubst scripts/%,share/lifeboat/%,$(wildcard scripts/notify.d/*))
JQ    := $(patsubst lib/projectors/%,share/lifeboat/projectors/%,$(wildcard lib/projectors/*.jq))
PAGE  := $(patsubst lib/%,share/lifeboat/%,$(shell find lib/page -type f | sort))
UNITS := $(patsubst systemd/%,lib/systemd/system/%,$(wildcard systemd/*.service systemd/*.timer))
MAN   := $(foreach p,$(PAGES),share/man/man$(subst .,,$(suffix $(p)))/$(notdir $(p)))
BIN   := $(filter-out $(CGI),$(CMDS))
INSTALLED := $(BIN:%=bin/%) $(SCRIPTS) $(CGI:%=lib/cgi-bin/%) $(MAN) $(JQ) $(CONF) $(HTTPD) $(SHARE) $(SOURCED) \
	$(HOOKS) $(PAGE) $(HUB) $(UNITS)
AT = $(DESTDIR)$(PREFIX)

all: $(CMDS:%=$(BUILD)/bin/%)

tests: all $(UNIT) $(TOOL)

# A command of several parts has them in a folder of its name.
.SECONDEXPANSION:
$(BUILD)/bin/%: $(BUILD)/cmd/%.o $$(addprefix $$(BUILD)/,$$(addsuffix .o,$$(basename $$(wildcard cmd/$$*/*.c)))) \
		$(BUILD)/liblifeboat.a
	@mkdir -p $(@D)
	$(CC) $(cflags) $(ldflags) -o $@ $^ $(LDLIBS)

# The CGI is started for each request: a sixth of that was finding SQLite's symbols.
$(BUILD)/bin/$(CGI): LDLIBS = -l:libsqlite3.a -luuid -l:libxxhash.a -l:libcrypto.a -lm

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/liblifeboat.a
	@mkdir -p $(@D)
	$(CC) $(cflags) $(ldflags) -o $@ $^ $(LDLIBS)

$(BUILD)/tools/%: $(BUILD)/tests/tools/%.o $(BUILD)/liblifeboat.a
	@mkdir -p $(@D)
	$(CC) $(cflags) $(ldflags) -o $@ $^ $(LDLIBS)

$(BUILD)/liblifeboat.a: $(LIB)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

$(BUILD)/lib/base/clock.o: cppflags += -DLIFEBOAT_BUILD_TIME=$(BUILD_TIME)

# The schema is SQL; the program carries its bytes.
$(BUILD)/gen/schema.inc: lib/schema.sql
	@mkdir -p $(@D)
	od -An -v -tu1 $< | sed 's/[0-9][0-9]*/&,/g' >$@
$(BUILD)/lib/core/store.o $(BUILD)/tests/tools/floor.o: $(BUILD)/gen/schema.inc

# Other flags, another compiler or PREFIX: everything is compiled again.
FLAGS := $(CC) $(cppflags) $(cflags) $(ldflags)
ifneq ($(FLAGS),$(file <$(BUILD)/flags))
$(BUILD)/flags: FORCE
endif
$(BUILD)/flags:
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' >$@

check:
	scripts/check
lint: all
	scripts/lint
check-asan:
	$(MAKE) CC=clang BUILD=build-asan CFLAGS='-O1 -g -fno-omit-frame-pointer' \
		SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' tests
	tests/run --asan build-asan
check-valgrind: tests
	tests/run --valgrind $(BUILD)
check-crash: tests
	tests/crash.sh
check-faults: tests
	tests/faults.sh
check-stress: tests
	tests/stress.sh
check-workers: tests
	tests/workers.sh
check-rotate: tests
	tests/rotate.sh
check-damage: tests
	tests/damage.sh
check-follow: tests
	tests/follow.sh
check-backup-days: tests
	tests/backup-days.sh
check-backup-damage: tests
	tests/backup-damage.sh
check-model: tests
	tests/model.sh
check-mirror: tests
	tests/mirror.sh
check-page: tests
	tests/page.sh
check-load: tests
	tests/httpload.sh
check-system: tests
	tests/system.sh
check-dualsend: tests
	tests/dualsend.sh
check-hub: tests
	tests/hub.sh
fuzz:
	tests/fuzz.sh
latency: tests
	tests/latency.sh
bench: tests
	tests/bench.sh
	tests/bench-queue.sh
	tests/bench-http.sh
	tests/bench-mirror.sh
	tests/bench-mirror-send.sh
	tests/bench-hub.sh
	tests/bench-backup.sh
growth: tests
	tests/growth.sh

install: all
	@for f in $(BIN); do install -D -m 755 $(BUILD)/bin/$$f $(AT)/bin/$$f || exit; done
	@install -D -m 755 $(BUILD)/bin/$(CGI) $(AT)/lib/cgi-bin/$(CGI)
	@for f in $(HTTPD); do install -D -m 644 scripts/$${f##*/} $(AT)/$$f && \
		sed -i 's|/usr/local|$(PREFIX)|g' $(AT)/$$f || exit; done
	@for f in $(SCRIPTS); do install -D -m 755 scripts/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(MAN); do install -D -m 644 man/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(JQ); do install -D -m 644 lib/projectors/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(CONF); do install -D -m 644 lib/config/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(PAGE); do install -D -m 644 lib/$${f#share/lifeboat/} $(AT)/$$f || exit; done
	@for f in $(HUB); do install -D -m 644 lib/$${f#share/lifeboat/} $(AT)/$$f || exit; done
	@for f in $(HOOKS); do install -D -m 755 scripts/notify.d/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(SHARE); do install -D -m 755 scripts/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(SOURCED); do install -D -m 644 scripts/$${f##*/} $(AT)/$$f || exit; done
	@for f in $(UNITS); do install -D -m 644 systemd/$${f##*/} $(AT)/$$f && \
		sed -i 's|/usr/local|$(PREFIX)|g' $(AT)/$$f || exit; done
uninstall:
	@for f in $(INSTALLED); do rm -f $(AT)/$$f || exit; done
	@rmdir $(AT)/share/lifeboat/page/js/views $(AT)/share/lifeboat/page/js \
		$(AT)/share/lifeboat/page/icons $(AT)/share/lifeboat/page 2>/dev/null || :
	@rmdir $(AT)/share/lifeboat/projectors $(AT)/share/lifeboat/notify.d $(AT)/share/lifeboat/hub \
		$(AT)/share/lifeboat 2>/dev/null || :
clean:
	rm -rf build build-asan build-clang build-fuzz $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.SECONDARY:
.PHONY: all tests check lint check-asan check-valgrind check-crash check-faults check-stress \
	check-workers check-rotate check-damage check-backup-days check-backup-damage check-follow check-model \
	check-mirror check-page check-load check-dualsend check-system check-hub fuzz latency bench growth \
	install uninstall clean FORCE
.DELETE_ON_ERROR:
