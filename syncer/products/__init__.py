"""The company's products: reading their list, and checking the products that rows name."""
