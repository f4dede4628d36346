//go:build race

package fb

const raceEnabled = true
