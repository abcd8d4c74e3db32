//go:build tools

// Package tools names the program that the tests build, so that go.mod pins it.
package tools

import _ "github.com/globalsign/est/cmd/estclient"
