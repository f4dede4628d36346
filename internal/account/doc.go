// Package account owns isolation: the accounts there are, with their limits, how
// many connections each has, and what they let each other have. It holds no
// subscription and knows no client.
//
// The package starts no goroutine. A Registry has one lock, over its map; counts
// are atomic and belong to the name, so that they outlive a reload. Rooms of the
// broker's floor and above may use it.
package account
