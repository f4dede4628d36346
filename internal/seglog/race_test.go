//go:build race

package seglog

const (
	raceEnabled = true
	// sparser is how many times fewer cases the exhaustive tests try.
	sparser = 15
)
