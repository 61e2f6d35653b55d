#!/usr/bin/env bats
# The lint rules that are ours: each is broken once in a scratch tree and must say so.

# plain

load helper

setup() {
    private_store
    mkdir -p tree/{scripts,cmd,lib/{base,text,core,store,cli},man,build/bin,tests}
    cp "$top/scripts/lint" tree/scripts/
    cd tree || return

    cat >lib/base/buf.h <<'END'
int buf_add(const char *text);
END
    cat >lib/core/db.h <<'END'
#include <sqlite3.h>

#include "base/buf.h"
END
    cat >lib/store/events.h <<'END'
#include "core/db.h"
END
    cat >lib/store/events.c <<'END'
#include "store/events.h"
END
    cat >lib/store/trace.h <<'END'
int trace(void);
END
    cat >cmd/toy.c <<'END'
#include "store/events.h"

/* a comment may say open("x") and exit(1) */
static const char text[] = "open(\"x\") and exit(1)";
static const struct option options[] = {
    {"colour", required_argument, NULL, 'c'},
    {"deep", no_argument, NULL, OPT_DEEP},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
};

int main(void)
{
    exit(0);
}
END
    cat >options.help <<'END'
usage: toy
  -c, --colour C  in colour
      --deep
  -h, --help
  -V, --version
END
    printf '#!/bin/sh\ncat options.help\n' >build/bin/toy
    chmod +x build/bin/toy
    cat >man/toy.1 <<'END'
.Bl -tag
.It Fl c Ar C , Fl Fl colour Ar C
.It Fl -deep
.It Fl h , Fl \-help
.It Fl V , Fl Fl version
.El
END
}

red() {
    run_split scripts/lint "$1"
    assert_status 1
    assert_line "not ok - $1"
    grep -qF -- "$2" "$OUT" || show_run "wanted the finding: $2"
}

@test "a tree that keeps the rules is green" {
    run_split scripts/lint layers options opens exits length
    assert_status 0
    assert_out 'ok - layers
ok - options
ok - opens
ok - exits
ok - length'
}

@test "layers: an include upward is found" {
    echo '#include "core/db.h"' >lib/base/buf.c
    red layers 'lib/base/buf.c:1: core/db.h is in a higher layer'
}

@test "layers: a header counts as much as a source" {
    echo '#include "store/events.h"' >>lib/core/db.h
    red layers 'lib/core/db.h:4: store/events.h is in a higher layer'
}

@test "layers: lib/ may not use lib/cli" {
    echo '#include "cli/cli.h"' >>lib/store/events.c
    red layers 'lib/store/events.c:2: cli/cli.h is in a higher layer'
}

@test "layers: a store module may not include another" {
    echo '#include "store/trace.h"' >>lib/store/events.c
    red layers 'lib/store/events.c:2: store/trace.h is another module of lib/store'
}

@test "layers: an include without its layer is found" {
    echo '#include "buf.h"' >lib/base/buf.c
    red layers 'lib/base/buf.c:1: buf.h is not LAYER/NAME.h'
}

@test "layers: the parts of a command may share a header, others not" {
    mkdir cmd/toy
    echo '#include "toy/toy.h"' >cmd/toy/part.c
    echo '#include "toy/toy.h"' >>cmd/toy.c
    run_split scripts/lint layers
    assert_status 0
    echo '#include "toy/toy.h"' >lib/cli/cli.c
    red layers 'lib/cli/cli.c:1: toy/toy.h is not LAYER/NAME.h'
    rm lib/cli/cli.c
    mkdir cmd/other
    echo '#include "toy/toy.h"' >cmd/other/part.c
    red layers 'cmd/other/part.c:1: toy/toy.h is not LAYER/NAME.h'
}

@test "the parts of a command are looked at" {
    mkdir cmd/toy
    echo 'int part(void) { return open("x", 0); }' >cmd/toy/part.c
    red opens 'cmd/toy/part.c:1: open() is not allowed in part()'
}

@test "layers: sqlite3.h is for the database layer and the stores" {
    echo '#include <sqlite3.h>' >lib/core/event.c
    red layers 'lib/core/event.c:1: sqlite3.h belongs to'
    rm lib/core/event.c
    echo '#include <sqlite3.h>' >>cmd/toy.c
    red layers 'cmd/toy.c:16: sqlite3.h belongs to'
}

@test "options: one missing in --help is found" {
    sed -i /colour/d options.help
    red options 'cmd/toy.c:1: --colour is not in --help'
    assert_line '# cmd/toy.c:1: -c is not in --help'
    assert_line '# man/toy.1:1: --colour is not in --help'
}

@test "options: one missing in the page is found" {
    sed -i /deep/d man/toy.1
    red options 'man/toy.1:1: --deep is not in its list'
    sed -i 's/Fl c Ar C , //' man/toy.1
    red options 'man/toy.1:1: -c is not in its list'
}

@test "options: one that the code does not know is found" {
    sed -i /deep/d cmd/toy.c
    red options 'cmd/toy.c:1: --help names --deep, the code does not know it'
}

@test "options: one that only the page knows is found" {
    echo '.It Fl -size Ar N' >>man/toy.1
    red options 'man/toy.1:1: --size is not in --help'
}

@test "options: --help and --version are everywhere" {
    sed -i /version/d options.help man/toy.1 cmd/toy.c
    red options 'cmd/toy.c:1: --version is not in --help'
}

@test "options: a --help that fails is found" {
    echo 'exit 64' >>build/bin/toy
    red options 'cmd/toy.c:1: --help fails'
}

@test "options: a command without a page is found" {
    rm man/toy.1
    red options 'cmd/toy.c:1: has no man page'
}

@test "opens: a file opened, replaced or removed outside the list is found" {
    local call
    for call in 'open(p, 0)' 'openat(d, p, 0)' 'fopen (p, "r")' 'creat(p, 0)' 'truncate(p, 0)' \
        'rename(p, q)' 'renameat2(a, p, b, q, 0)' 'unlink(p)'; do
        printf 'void f(void)\n{\n    %s;\n}\n' "$call" >lib/text/seal.c
        red opens "lib/text/seal.c:3: ${call%%[ (]*}() is not allowed in f()"
    done
}

@test "opens: the list names functions, not whole files" {
    printf 'static int sync_file(void)\n{\n    return open(p, 0);\n}\n' >lib/core/store.c
    run_split scripts/lint opens
    assert_status 0
    printf 'static int peek(void)\n{\n    return open(p, 0);\n}\n' >>lib/core/store.c
    red opens 'lib/core/store.c:7: open() is not allowed in peek()'
}

@test "exits: ending the process is for lib/cli and cmd" {
    local call
    for call in 'exit(1)' '_exit(1)' 'abort()' 'assert(x)'; do
        printf 'void f(void)\n{\n    %s;\n}\n' "$call" >lib/text/seal.c
        red exits "lib/text/seal.c:3: ${call%%(*}() is not allowed in f()"
    done
}

@test "length: a function longer than a screen is found" {
    { printf 'int f(void)\n{\n' && printf '    x();\n%.0s' {1..60} && printf '}\n'; } >lib/text/seal.c
    red length 'lib/text/seal.c:2: 61 lines: int f(void)'
    sed -i 3d lib/text/seal.c
    run_split scripts/lint length
    assert_status 0
}

@test "page: what the strict policy forbids, what does not parse, a file sw.js does not know" {
    cp "$top/scripts/page-version" scripts/
    cp -r "$top/lib/page" lib/
    mkdir tests/page
    run_split scripts/lint page
    assert_status 0
    echo '/* */' >>lib/page/style.css
    red page 'lib/page/sw.js:1: '
    scripts/page-version
    run_split scripts/lint page
    assert_status 0
    for bad in '<p style="color: red">' '<p onclick="x()">' '<script>x()</script>' '<img src="https://example.org/">'; do
        cp "$top/lib/page/index.html" lib/page/
        echo "$bad" >>lib/page/index.html
        red page "$bad"
    done
    cp "$top/lib/page/index.html" lib/page/
    if command -v node >/dev/null; then
        echo 'let x = ;' >>lib/page/js/text.js
        red page 'SyntaxError'
    fi
}

@test "the checkers of others are asked too" {
    cp "$top/.clang-format" "$top/.clang-tidy" .
    printf 'int f( int n );\n\nint f(int n)\n{\n    int *p = 0;\n    return n / *p;\n}\n' >lib/text/seal.c
    rm cmd/toy.c lib/store/events.c
    red format 'lib/text/seal.c:1:'
    red tidy 'lib/text/seal.c:6:'
    red man 'man/toy.1:'
    printf '%s\n' '#!/bin/sh' "rm \$x" >scripts/broken
    red shell 'scripts/broken:2:'
}

@test "a rule that does not exist is a usage error" {
    run_split scripts/lint nonsense
    assert_status 64 'no rule nonsense'
}
