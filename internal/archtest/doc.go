// Package archtest holds the house rules that a machine can check: which way
// imports go, which packages are pure, how long files and functions get, that
// every package explains itself and every decoder is fuzzed. The rules are data
// in rules_test.go; a failure names file, line and rule.
//
// It has tests only. Nothing imports it.
package archtest
