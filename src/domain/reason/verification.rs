//! Reasons why an API, or a proxy in front of it, must not take a token.
//!
//! RFC 6750 section 3.1, RFC 9449 section 7.1.

super::kind::reasons! {
    TOKEN_MISSING = "token.missing", Token;
        "The request presents no token.";
        "The API takes requests with a token of its environment's broker alone.";
        "Send Authorization: Bearer TOKEN, or Authorization: DPoP TOKEN with a proof where the token is bound to a key.";
    TOKEN_INACTIVE = "token.inactive", Token;
        "The token is not active: unknown, expired, revoked, or another environment's.";
        "A token counts while it verifies, is on record with exactly these claims, and nothing that it was made from is cut.";
        "Fetch a new token; `carnet explain REQUEST_ID` tells why one is refused.";
    TOKEN_OTHER_API = "token.other-api", Token;
        "The token is for another API.";
        "A token names one API in one environment, and no other takes it (RFC 9068 section 4).";
        "Fetch a token for this API.";
    TOKEN_NOT_HELD = "token.not-held", Token;
        "The token is bound to a key, and the request does not prove possession of that key.";
        "A copy of a bound token must not work without its key (RFC 8705 section 3, RFC 9449 section 7.1).";
        "Send it over a connection with the client certificate that it was issued to, or with scheme DPoP and a fresh proof of its key.";
    ACCESS_SCOPE = "access.scope", Access;
        "The token does not have the scope that this request needs.";
        "The scope of a token names all that it may do.";
        "Fetch a token with that scope; `carnet elevate` asks for one that the contract allows on request.";
    ACCESS_ENDPOINT = "access.endpoint", Access;
        "The token's endpoint conditions do not admit this method and path.";
        "The integration's record allows these endpoints alone; paths are compared as they are sent, never normalised. A request whose headers name another method or path than its proxy does is refused too.";
        "Call one of the endpoints in the token's authorization_details, without X-Forwarded-* and X-Original-* of your own, or have the record changed.";
    PROXY_UNKNOWN = "proxy.unknown", Client;
        "The caller is no proxy that may ask for verdicts.";
        "A caller that may ask can find out what a token is worth, and names method, path and client certificate for others.";
        "List the proxy's address in [listen] verify_callers, where no network of trusted_proxies holds it too, or send X-Carnet-Caller with a proof of the API's callers.";
    PROXY_REQUEST = "proxy.request", Form;
        "The proxy's request does not say once, and soundly, what is asked.";
        "A verdict about another request than the one that goes on to the API is worse than none.";
        "Ask for ?api=NAME&scope=SCOPE (in X-Carnet-Api and X-Carnet-Scope where the path is appended), set X-Forwarded-Method and X-Forwarded-Uri to what the client sent, or append the path to /verify, and clear every other header that names method, path or certificate.";
}
