//go:build !race

package atrest

const raceEnabled = false
