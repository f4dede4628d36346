//go:build race

package subjects

// sparser is how many times fewer cases the exhaustive tests try.
const sparser = 9
