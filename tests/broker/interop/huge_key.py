"""Prints an RSA key of some 15,600 bits as PEM: the product of two Mersenne primes, 2^11213 - 1 and 2^4423 - 1. To find two random
primes of that size takes openssl a minute; that everybody knows these two does not make them cheaper to verify with."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

p, q, e = 2**11213 - 1, 2**4423 - 1, 65537
d = pow(e, -1, (p - 1) * (q - 1))
parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
numbers = rsa.RSAPrivateNumbers(p, q, d, *parts, rsa.RSAPublicNumbers(e, p * q))
key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
print(key.private_bytes(*form).decode(), end="")
