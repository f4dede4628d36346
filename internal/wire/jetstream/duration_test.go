package jetstream

import (
	"testing"
	"time"
)

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"5s", "1h2m3.5s", "+1.5ms", "0", "-1s", ".5s", "1.", "s", "", "9223372036854775807ns",
		"9223372036854775808ns", "2562047h47m16.854775807s", "1µs", "1μs", "1.123456789012345h", "00000000000000000000001s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := parseDuration([]byte(s))
		d, err := time.ParseDuration(s)
		want := int64(d)
		if err != nil || d < 0 || len(s) > maxDurationText {
			want = -1
		}
		if s == "-0" || s == "-0s" || d == 0 && err == nil && s[0] == '-' {
			return // a zero below zero is no duration that anyone sends
		}
		// Long fractions are cut, and 20 leading zeros or more are not a number here.
		if diff := got - want; diff < -4000 || diff > 4000 {
			if got == -1 && len(s) > 20 {
				return
			}
			t.Fatalf("%q is %d, want %d", s, got, want)
		}
	})
}

func TestDurationsAreExactToNineDigits(t *testing.T) {
	for s, want := range map[string]int64{
		"5s": 5e9, "1h2m3.5s": 3723500000000, "1.123456789s": 1123456789, "0.5h": 1800e9, "1.5us": 1500,
		"0.000000001s": 1, "1.9ns": 1, "+2ms": 2e6, "": -1, "5": -1, "-5s": -1, "5x": -1, "1h5": -1, "1..5s": -1,
	} {
		if got := parseDuration([]byte(s)); got != want {
			t.Errorf("%q is %d, want %d", s, got, want)
		}
	}
}
