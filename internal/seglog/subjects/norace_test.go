//go:build !race

package subjects

const sparser = 1
