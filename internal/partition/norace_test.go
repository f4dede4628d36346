//go:build !race

package partition

// histories is how many random ones a test runs.
const histories = 8
