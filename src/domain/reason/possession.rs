//! Reasons about DPoP proofs at the token endpoint (RFC 9449).

super::kind::reasons! {
    DPOP_MALFORMED = "dpop.malformed", Possession;
        "The DPoP header is not exactly one well-formed proof with jti, htm, htu and iat.";
        "Two proofs, or one that cannot be read strictly, could mean different things to different programs (RFC 9449 section 4.3).";
        "Send one DPoP header with a compact JWS; most OAuth libraries make it.";
    DPOP_HEADER = "dpop.header", Possession;
        "The proof's header lacks typ dpop+jwt, an accepted alg, or a public jwk for it.";
        "The key in the header is what the token is bound to: it must be public, sound, and of an asymmetric algorithm (RFC 9449 section 4.2).";
        "Sign with ES256, PS256 or Ed25519, typ dpop+jwt, and the public JWK alone in the header.";
    DPOP_SIGNATURE = "dpop.signature", Possession;
        "The proof is not signed by the key in its header.";
        "Without the signature anybody could bind a token to a key of others.";
        "Sign the proof with the private half of the JWK in its header.";
    DPOP_MISMATCH = "dpop.other-request", Possession;
        "The proof's htm or htu names another request.";
        "A proof is for one method on one URL, so that one that is seen elsewhere is no use here (RFC 9449 section 4.3).";
        "Set htm to POST and htu to the token endpoint as metadata spells it, without query and fragment.";
    DPOP_STALE = "dpop.stale", Possession;
        "The proof's iat lies too far from now, or its exp or nbf does not hold.";
        "A proof is made for the request that it comes with.";
        "Make a proof for each request; check the machine's clock.";
    DPOP_NONCE = "dpop.nonce", Nonce;
        "The proof needs the nonce of this response's DPoP-Nonce header.";
        "A nonce of the server shows that the proof was made now and not ahead of time (RFC 9449 section 8). Nothing was spent.";
        "Send the request again with that nonce in the proof and a fresh jti; most OAuth libraries do so by themselves.";
    DPOP_REPLAYED = "dpop.replayed", Possession;
        "The proof's jti was used before.";
        "A proof that is copied off the wire must not work a second time.";
        "Make a proof with a fresh jti for each request.";
}
