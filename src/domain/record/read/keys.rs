//! The keys of every map of a record, known and required. The JSON Schemas have the same; a test compares them.

/// The keys of one map.
#[derive(Debug)]
pub(in crate::domain::record) struct Shape {
    /// What the schema calls it; empty for the document itself.
    pub name: &'static str,
    /// All that are taken.
    pub keys: &'static [&'static str],
    /// Those without which the record is refused.
    pub required: &'static [&'static str],
}

macro_rules! shapes {
    ($(#[$doc:meta])* $list:ident: $($constant:ident = $name:literal [$($required:literal)*] + [$($optional:literal)*];)+) => {
        $(pub(in crate::domain::record) const $constant: Shape =
            Shape { name: $name, keys: &[$($required,)* $($optional),*], required: &[$($required),*] };)+
        $(#[$doc])*
        #[cfg(test)]
        pub(in crate::domain::record) const $list: &[&Shape] = &[$(&$constant),+];
    };
}

shapes! {
    /// The maps of `kind: Api`.
    API_SHAPES:
    API = "" ["apiVersion" "kind" "metadata" "owner" "audience" "scopes"] + ["token" "callers" "approval"];
    API_METADATA = "metadata" ["name"] + [];
    TOKEN = "token" [] + ["profile" "alg" "ttl" "require"];
    SCOPE_ENTRY = "scopeEntry" ["meaning" "risk"] + [];
}

shapes! {
    /// The maps of `kind: Partner`.
    PARTNER_SHAPES:
    PARTNER = "" ["apiVersion" "kind" "metadata" "legalName" "domains" "contacts" "verification"] + [];
    PARTNER_METADATA = "metadata" ["name"] + [];
    CONTACTS = "contacts" ["technical" "security"] + [];
    VERIFICATION = "verification" ["by" "on" "evidence" "expires"] + [];
}

shapes! {
    /// The maps of `kind: Integration` besides those of bindings.
    INTEGRATION_SHAPES:
    INTEGRATION = "" ["apiVersion" "kind" "metadata" "purpose" "owners" "contract" "review" "offboarding" "environments"]
        + ["dataClasses" "rotation" "exceptions" "tests"];
    INTEGRATION_METADATA = "metadata" ["partner" "name"] + [];
    OWNERS = "owners" ["business" "application"] + [];
    CONTRACT = "contract" ["ref" "starts" "ends"] + [];
    REVIEW = "review" ["every" "onSilence"] + [];
    ROTATION = "rotation" [] + ["issuerKeys" "certificate" "onLate"];
    OFFBOARDING = "offboarding" ["trigger" "contact"] + [];
    ACCESS = "access" ["bindings"] + ["limits" "require" "scopes" "elevation"];
    LIMITS = "limits" [] + ["ttl" "exchangesPerMinute" "sourceCidrs"];
    SCOPE_RULE = "scopeRule" ["scope"] + ["allow"];
    ELIGIBLE = "eligible" ["scope" "api" "max" "approvers"] + ["allow" "window" "require" "breakGlass"];
    APPROVERS = "approvers" ["count"] + ["role" "people" "fallback"];
    FALLBACK = "fallback" ["after" "role"] + [];
    EXCEPTION = "exception" ["what" "control" "owner" "ends"] + [];
    TEST = "test" ["claims" "expect"] + [];
    EXPECTATION = "expectation" ["environment"] + ["allow" "deny"];
}

shapes! {
    /// The maps of bindings, in the records of APIs (`callers`) and integrations.
    BINDING_SHAPES:
    BINDING = "binding" ["name"] + ["oidc" "key" "mtls" "github" "gitlab" "kubernetes" "spiffe"];
    OIDC = "oidc" ["issuer" "match"]
        + ["owner" "audience" "algs" "typ" "jwks" "jwksUri" "singleUse" "maxLife" "maxAge"];
    KEY = "key" [] + ["jwks" "jwksUri" "audience" "algs" "typ" "maxLife" "maxAge"];
    MTLS = "mtls" [] + [];
    GITHUB = "github" ["repositoryId" "ownerId"] + ["ref" "environment" "issuer" "audience" "singleUse" "maxLife" "maxAge"];
    GITLAB = "gitlab" ["projectId" "namespaceId"] + ["ref" "environment" "issuer" "audience" "singleUse" "maxLife" "maxAge"];
    KUBERNETES = "kubernetes" ["issuer" "namespace" "serviceAccountUid"] + ["audience" "singleUse" "maxLife" "maxAge"];
    SPIFFE = "spiffe" ["id"] + ["bundle" "bundleUrl" "audience" "singleUse" "maxLife" "maxAge"];
    ONE_OF = "oneOf" ["oneOf"] + [];
    PREFIX = "prefix" ["prefix"] + [];
}
