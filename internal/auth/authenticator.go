package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"

	"github.com/weirmq/weir/internal/account"
	"golang.org/x/crypto/bcrypt"
)

// Errors of Authenticate.
var (
	ErrUnknownUser = errors.New("unknown user")
	ErrPassword    = errors.New("wrong password")
	ErrToken       = errors.New("wrong token")
	ErrNothing     = errors.New("no credentials")
)

// User is a configured user.
type User struct {
	Name, Password string // the password plain or as bcrypt writes it
	Account        *account.Account
	Permissions    *Permissions // nil: everything is allowed
}

// Options are the configured ways in. At most one of Token and Users is set.
type Options struct {
	Token string // plain or as bcrypt writes it
	Users []User
	// NoAuthUser is who those are that show nothing; empty: they are not let in.
	NoAuthUser string
	// Certificates says that a client is who its certificate says, and nothing else it
	// shows counts.
	Certificates bool
	// Default is the account of those who belong to no other.
	Default *account.Account
}

// Authenticator lets clients in. It is immutable.
type Authenticator struct {
	token     string
	users     map[string]*User
	anonymous *User
	byDefault *account.Account
	certs     bool
	// decoy is compared with where there is no such user, so that a stranger
	// cannot tell the users' names by the time of the answer.
	decoy string
}

// New checks and takes the options.
func New(o Options) (*Authenticator, error) {
	if o.Token != "" && len(o.Users) > 0 {
		return nil, errors.New("a token can not stand beside users")
	}
	a := &Authenticator{token: o.Token, users: map[string]*User{}, byDefault: o.Default, certs: o.Certificates}
	for i := range o.Users {
		u := &o.Users[i]
		if u.Name == "" {
			return nil, errors.New("a user has no name")
		}
		if a.users[u.Name] != nil {
			return nil, fmt.Errorf("user %q is configured twice", u.Name)
		}
		if u.Account == nil {
			u.Account = o.Default
		}
		a.users[u.Name] = u
		if a.decoy == "" || Hashed(u.Password) {
			a.decoy = u.Password
		}
	}
	if o.NoAuthUser != "" {
		if a.anonymous = a.users[o.NoAuthUser]; a.anonymous == nil {
			return nil, fmt.Errorf("no_auth_user %q is not a configured user", o.NoAuthUser)
		}
	}
	return a, nil
}

// Required says whether a client has to show something.
func (a *Authenticator) Required() bool { return a.token != "" || len(a.users) > 0 }

// Anonymous says whether a client that shows nothing is let in as a configured
// user.
func (a *Authenticator) Anonymous() bool { return a.anonymous != nil }

// Credentials are what a client shows.
type Credentials struct {
	User, Password, Token string
	Certificate           *x509.Certificate // verified; nil: none
}

// Authenticate says which user a client is. Where nothing is configured everybody
// is a nameless one of the default account. The error is one of this package; its
// text is for the log, not for the client.
func (a *Authenticator) Authenticate(c Credentials) (*User, error) {
	if !a.Required() {
		return &User{Account: a.byDefault}, nil
	}
	if a.certs && len(a.users) > 0 {
		return a.byCertificate(c.Certificate)
	}
	if a.anonymous != nil && c.User == "" && c.Password == "" && c.Token == "" {
		return a.anonymous, nil
	}
	if len(a.users) > 0 {
		return a.byPassword(c)
	}
	switch {
	case c.Token == "":
		return nil, ErrNothing
	case !matches(a.token, c.Token):
		return nil, ErrToken
	}
	return &User{Account: a.byDefault}, nil
}

func (a *Authenticator) byPassword(c Credentials) (*User, error) {
	if c.User == "" && c.Token == "" {
		return nil, ErrNothing
	}
	u := a.users[c.User]
	if u == nil {
		matches(a.decoy, c.Password)
		return nil, ErrUnknownUser
	}
	if !matches(u.Password, c.Password) {
		return nil, ErrPassword
	}
	return u, nil
}

// Find returns a configured user, nil if there is none of that name.
func (a *Authenticator) Find(name string) *User { return a.users[name] }

var hashed = regexp.MustCompile(`^\$2[abxy]\$\d\d\$`)

// Hashed says whether a configured secret is one of bcrypt's.
func Hashed(secret string) bool { return hashed.MatchString(secret) }

// matches compares what a client shows with what is configured.
func matches(configured, shown string) bool {
	if Hashed(configured) {
		return bcrypt.CompareHashAndPassword([]byte(configured), []byte(shown)) == nil
	}
	a, b := sha256.Sum256([]byte(configured)), sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
