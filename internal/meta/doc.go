// Package meta owns group 0: which streams exist, under which identity, and the
// configuration they were created with. A Catalog is the machine of that group;
// it opens nothing itself but tells a Watcher of what came and went, so that the
// one record which creates a stream is all that creating one costs.
//
// Identities are given once and never again. Nothing is ever deleted because it
// is missing somewhere: a stream ends only with an entry that says so.
//
// The package starts no goroutine. Apply is called on the goroutine of the
// group; mu guards the catalog and is held across no call out of the package.
package meta
