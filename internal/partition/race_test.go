//go:build race

package partition

// histories is how many random ones a test runs: the race detector is slow.
const histories = 2
