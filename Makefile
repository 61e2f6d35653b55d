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

all: $(CMDS:%=$(BUILD)/bin/%) $(BUILD)/completions/names

tests: all $(UNIT) $(TOOL)

# A command of several parts has them in a folder of its name.
.SECONDEXPANSION:
$(BUILD)/bin/%: $(BUILD)/cmd/%.o $$(addprefix $$(BUILD)/,$$(addsuffix .o,$$(basename $$(wildcard cmd/$$*/*.c)))) \
		$(BUILD)/liblifeboat.a
	@mkdir -p $(@D)
	$(CC) $(cflags) $(ldflags) -o $@ $^ $(LDLIBS)

# The CGI is started for each request: a sixth of that was finding SQLite's symbols.
$(BUILD)/bin/$(CGI): LDLIBS = -l:libsqlite3.a -luuid -l:libxxhash.a -l:libcrypto.a -lm

# The shells complete what the commands say to --help.
$(BUILD)/completions/names: $(CMDS:%=$(BUILD)/bin/%) $(wildcard scripts/*)
	scripts/completions $(@D) $(BUILD)/bin

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
# The campaigns, each a script of its own.
CAMPAIGNS := crash faults stress workers rotate damage backup-days backup-damage follow model mirror \
	page httpload dualsend system operations hub
$(CAMPAIGNS:%=check-%): check-%: tests
	tests/$*.sh
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
	tests/bench-backup.sh
	tests/bench-hub.sh
growth: tests
	tests/growth.sh

install: all
	scripts/layout put '$(PREFIX)' $(BUILD)
uninstall:
	scripts/layout remove '$(PREFIX)' $(BUILD)
deb:
	scripts/deb
clean:
	rm -rf build build-asan build-clang build-deb build-fuzz $(BUILD)

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
.SECONDARY:
.PHONY: all tests check lint check-asan check-valgrind $(CAMPAIGNS:%=check-%) fuzz latency bench \
	growth install uninstall deb clean FORCE
.DELETE_ON_ERROR:
