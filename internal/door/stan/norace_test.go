//go:build !race

package stan

const raceEnabled = false
