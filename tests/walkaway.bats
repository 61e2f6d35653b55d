#!/usr/bin/env bats
# walkaway: the main job, played whole.
# plain
load helper

@test "the walkaway story holds from a dpkg log: every proof, and the verdict" {
    run_split "$top/scripts/walkaway"
    assert_status 0
    [[ $out == *"VERDICT: PASSED."* ]]
    [[ $out != *"NOT TRUE"* ]]
    [ "$(grep -c '^  proved: ' "$OUT")" -ge 20 ]
}

@test "its lines fit a terminal of 100 columns" {
    run_split "$top/scripts/walkaway"
    assert_status 0
    [ "$(awk 'length($0) > 100' "$OUT" | wc -l)" -eq 0 ]
}

@test "an operand is a usage error" {
    run_split "$top/scripts/walkaway" nonsense
    assert_status 64 usage
}
