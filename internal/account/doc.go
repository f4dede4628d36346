// Package account owns isolation: the accounts there are, with their limits. It
// holds no subscription and no connection. It starts no goroutine; a Registry has
// one lock, over its map. Rooms of floor 2 and above may use it.
package account
